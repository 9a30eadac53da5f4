"""The `attrec` command line."""

from tasks.engine import environment as environment
