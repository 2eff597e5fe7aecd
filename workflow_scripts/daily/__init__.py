"""What a person types every day, and what a run says of itself."""
