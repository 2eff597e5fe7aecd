"""First stages: indexes and rankings."""
