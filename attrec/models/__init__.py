"""Rating models: one contract (`RatingModel`), one file a model."""
