"""Residuals of all similar users and items, weighted."""
