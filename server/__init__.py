"""Who asks, adds and reports: the coordinator."""
