"""The environment: its locks renewed, its licences listed, and recipes of containers that install the locks."""
