"""Errors, bootstrap intervals, paired tests, error by activity."""
