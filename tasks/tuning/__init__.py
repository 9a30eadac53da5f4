"""The search for better configurations: its study, its trials, and what is told of both."""
