"""The parts of the page, each from the record of a run."""
