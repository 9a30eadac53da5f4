"""Prefect flows: each reads like a table of contents."""

from tasks.engine import environment as environment
from tasks.engine.server import give_head_start

give_head_start()
