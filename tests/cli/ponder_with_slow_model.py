"""The command ``ponder`` over a slow simulated model, to be run as a program.

With ``DIES_AT=k`` in the environment the process kills itself at its k-th call.
"""

import os
import signal
from unittest.mock import patch

from ponder.cli import main
from ponder.messages import Completion, OnDelta, Request
from ponder.models.base import Model
from ponder.models.simulated import SimulatedModel
from ponder.settings import Settings


class Slow(SimulatedModel):
    """Takes its time, and may die."""

    made = 0

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        self.made += 1
        if self.made == int(os.environ.get("DIES_AT", "0")):
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().generate(
            request, on_delta=on_delta, max_seconds=max_seconds
        )


def opened(name: str, settings: Settings) -> Model:
    return MODEL


MODEL = Slow(latency=float(os.environ.get("LATENCY", "0.01")))
patch("ponder.plan.open_plain_model", opened).start()

if __name__ == "__main__":
    main()
