"""The report of a run: one page, its figures, from what lies in the run folder."""
