"""Archives: a finished experiment in one file, from which others check and rebuild every number."""
