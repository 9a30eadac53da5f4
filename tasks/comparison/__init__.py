"""What every comparison of models does, whatever the family: fit, answer, score, track, challenge, summarise."""
