"""Pretrained encoders and tokenised texts."""
