"""Prefect flows: each reads like a table of contents."""

from tasks import environment as environment
