"""The comparisons whose tables are kept under results/, as data: one module a family."""
