"""What each kind of task does at a site: one file a task, see `learner.py`."""
