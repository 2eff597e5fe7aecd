"""Runs, measures and cells."""
