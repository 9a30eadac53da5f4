"""Prefect tasks: one file a step, each reads, calls attrec, writes and tracks."""

from tasks.engine import environment as environment
