"""Locality, entropy, the bound and risk."""
