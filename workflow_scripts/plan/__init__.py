"""The bill before anything runs."""
