"""The baselines of scikit-surprise."""
