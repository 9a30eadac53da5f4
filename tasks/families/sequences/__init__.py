"""What only next items know."""
