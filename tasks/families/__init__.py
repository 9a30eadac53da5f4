"""What only one family knows, a package each."""
