"""Prefect tasks: one file a step, each reads, calls attrec, writes and tracks."""

from tasks import environment as environment
