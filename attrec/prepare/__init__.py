"""Cleaning, features, scaling and splits, each fitted on training rows only."""
