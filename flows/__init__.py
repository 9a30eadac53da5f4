"""Prefect flows: each reads like a table of contents."""

import os

from tasks.engine import environment as environment
from tasks.engine.server import give_head_start

if "DVC_STAGE" in os.environ:
    give_head_start()
