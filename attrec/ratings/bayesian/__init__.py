"""Models whose posterior is sampled: a factorisation machine (myFM) and a matrix factorisation (ours)."""
