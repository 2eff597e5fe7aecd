"""What an experiment's configuration means."""
