"""Negatives: the groups that samplers draw."""
