"""What locust does in its own environment, for benchmarks/serving.py: one request again and again."""

from __future__ import annotations

import json
import os

from locust import FastHttpUser, constant, task

REQUEST = json.loads(os.environ["REQUEST"])


class Client(FastHttpUser):
    """Asks as soon as it was answered."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """One request."""
        self.client.post("/invocations", json=REQUEST)
