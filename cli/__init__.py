"""The `attrec` command line."""

from tasks import environment as environment
