"""Doors out: training data, runs and models as other tools read them, each with a card."""
