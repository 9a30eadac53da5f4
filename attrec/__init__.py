"""Attention-based recommender systems: the library. It knows nothing of Prefect, MLflow and DVC."""
