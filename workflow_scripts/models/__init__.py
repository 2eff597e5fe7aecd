"""Encoders, rankers, token stores and scoring."""
