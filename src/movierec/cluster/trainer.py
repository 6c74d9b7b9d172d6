"""Ray's trainer, which can be ended from outside."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import ray
from ray.train.torch import TorchTrainer

__all__ = ["EndableTrainer"]


class EndableTrainer(TorchTrainer):  # type: ignore[misc]
    """A trainer that leaves signals alone and ends its workers when it is asked to."""

    _controller: Any = None

    def end(self) -> None:
        """End the workers; nothing where they have ended."""
        if self._controller is not None:
            with suppress(Exception):  # the cluster may be gone
                ray.kill(self._controller)

    def _register_sigint_handler(self, controller: Any) -> None:
        """Keep the actor that has the workers, which Ray would end at Ctrl-C."""
        self._controller = controller
