"""What people read in the end: the report, published tables and their pages, and what they are made of."""
