"""Teacher scores of pools and groups."""
