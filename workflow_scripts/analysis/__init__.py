"""Measures, summaries and tests that tables share."""
