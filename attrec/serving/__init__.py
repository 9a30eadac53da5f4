"""How requests of people become questions to a model, and its answers something to read."""
