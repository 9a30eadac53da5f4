"""Attentive neural collaborative filtering: embeddings of a user and an item, and heads that make a rating of them."""
