"""From raw files to validated, clean and split tables."""
