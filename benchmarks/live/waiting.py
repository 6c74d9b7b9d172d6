"""How fast a training goes, by how its threads wait for one another.

python benchmarks/live/waiting.py HOME [--epochs 6]

prints the seconds of the default preset's first epochs in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from movierec.jobs.process import SPINS
from movierec.settings import Settings
from movierec.training.callbacks import EpochResult, Plan

__all__ = ["measure"]

POLICIES: Mapping[str, Mapping[str, str]] = {
    "spinning": {},
    "spinning briefly": {"GOMP_SPINCOUNT": SPINS},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"},
}
PATIENCE = 300.0  # seconds


def measure(settings: Settings, epochs: int = 6) -> dict[str, dict[str, float]]:
    """Return median seconds per epoch by how threads wait, alone and beside a busy program."""
    found: dict[str, dict[str, float]] = {name: {} for name in POLICIES}
    for name, policy in POLICIES.items():
        found[name]["alone"] = _median(settings, policy, epochs)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            for name, policy in POLICIES.items():
                found[name]["beside"] = _median(settings, policy, epochs)
        finally:
            busy.kill()
    return found


def _median(settings: Settings, policy: Mapping[str, str], epochs: int) -> float:
    chosen = {name for each in POLICIES.values() for name in each}
    environment = {k: v for k, v in os.environ.items() if k not in chosen} | dict(policy)
    command = [sys.executable, __file__, str(settings.home), "--epochs", str(epochs)]
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, timeout=PATIENCE
    )
    seconds: list[float] = json.loads(done.stdout)
    return round(median(seconds[1:]), 4)  # the first one also loads libraries


class _Enough(Exception):  # noqa: N818 - no error
    pass


class _Seconds:
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.seconds: list[float] = []

    def on_start(self, plan: Plan) -> None:
        """Nothing."""

    def on_step(self, epoch: int, step: int) -> None:
        """Nothing."""

    def on_epoch(self, result: EpochResult) -> None:
        """Note the epoch; end the training when there were enough."""
        self.seconds.append(result.seconds)
        if len(self.seconds) >= self.epochs:
            raise _Enough


def _train(settings: Settings, epochs: int) -> list[float]:
    from movierec.workflows.requests import TrainRequest
    from movierec.workflows.train import train

    hook: Any = _Seconds(epochs)
    with suppress(_Enough):
        train(TrainRequest.of(preset="default", dataset="ml-100k"), settings, hooks=(hook,))
    seconds: list[float] = hook.seconds
    return seconds


def main() -> None:
    """Print the seconds of each epoch as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    print(json.dumps(_train(Settings(home=options.home), options.epochs)))


if __name__ == "__main__":
    main()
