"""Prefect flows: each reads like a table of contents."""

from tasks import environment as environment
from tasks.server import give_head_start

give_head_start()
