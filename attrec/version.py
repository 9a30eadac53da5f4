"""Which version this is; packaging reads it here, and nothing that is computed hangs on it."""

__version__ = "0.1.0"
