"""Next items: models that say what somebody does next, from what they did, in order."""
