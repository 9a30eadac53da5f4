"""Answers in bulk: what is asked in batches, and the table that the answers become."""
