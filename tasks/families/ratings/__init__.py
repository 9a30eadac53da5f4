"""What only rating prediction knows."""
