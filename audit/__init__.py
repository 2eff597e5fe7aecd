"""Every number of an experiment's tables, computed again by a second path: nothing of the project's own is imported."""
