"""Commands that ask a fitted model, one module a family."""
