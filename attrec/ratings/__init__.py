"""Rating prediction: models that say what a user would rate an item, from ratings, side features and moments."""
