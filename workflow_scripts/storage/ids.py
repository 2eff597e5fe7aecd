"""Ids: what a student that reads no teacher is called."""

NO_TEACHER = "none"
"""What stands in the teacher's place of a student that reads no teacher's scores."""
