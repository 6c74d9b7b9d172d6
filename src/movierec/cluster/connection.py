"""The connection to a Ray cluster: one of this machine's, or one that is there already.

Imports neither Ray, which is optional, nor torch.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from movierec.errors import SettingsError
from movierec.workflows.requests import EngineOptions

__all__ = [
    "HINT",
    "Post",
    "cluster",
    "has_ray",
    "own_signals",
    "require_ray",
    "share_of_worker",
]

HINT = "Install it: `make ray`, or movierec with its extra `ray`."

PREFIX = "movierec-ray-"
STORE_BYTES = 128 * 2**20  # weights and events go through it, no ratings
SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGUSR1", signal.SIGTERM))
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of settings mean the project's folder
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # importing torch on a busy machine
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how soon a lost worker is noticed
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables whatever it is told
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
}

LOCAL_ENVIRONMENT = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes this machine away
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_worker_niceness": "0",  # Ray's 15 starves workers as soon as anything else runs here
}


class Post:
    """What the workers tell the process that started them, in order; an actor of Ray."""

    def __init__(self) -> None:
        self._events: list[tuple[str, tuple[Any, ...]]] = []

    def put(self, name: str, *facts: Any) -> None:
        """Add an event."""
        self._events.append((name, facts))

    def take(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the events since the last time."""
        events, self._events = self._events, []
        return events


def has_ray() -> bool:
    """Return whether Ray is installed, without importing it."""
    return find_spec("ray") is not None


def require_ray() -> None:
    """Raise SettingsError unless Ray is installed."""
    if not has_ray():
        raise SettingsError("The engine ray needs the package ray, which is missing.", hint=HINT)


@contextmanager
def cluster(engine: EngineOptions, worker: Mapping[str, float]) -> Iterator[Path]:
    """Connect to the engine's cluster and yield a folder for this run's own files.

    Without an address a cluster is started with exactly what the workers need of CPUs and GPUs;
    it ends with this block and, should it be killed, with this process.

    Raises:
        SettingsError: Ray is not installed, its cluster cannot be reached or started, has not
            enough for a single worker, or this process uses one already.

    """
    require_ray()
    import ray

    if ray.is_initialized():
        raise SettingsError(
            "This process is connected to a Ray cluster already.",
            hint="Call ray.shutdown() first: a run has a connection of its own.",
        )
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # short: Ray's sockets are in it
    try:
        local = {} if engine.address else LOCAL_ENVIRONMENT
        for name, value in {**ENVIRONMENT, **local}.items():
            os.environ.setdefault(name, value)
        restore = own_signals()
        try:
            _connect(engine, worker, folder)
        finally:
            restore()
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def share_of_worker(device: str, threads: int) -> dict[str, float]:
    """Return what Ray keeps for one worker; with `threads` 0 it has one core."""
    return {"CPU": float(max(1, threads)), **({"GPU": 1.0} if device == "cuda" else {})}


def _connect(engine: EngineOptions, worker: Mapping[str, float], folder: Path) -> None:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"configure_logging": False, "log_to_driver": False}
    try:
        if engine.address is not None:
            ray.init(address=engine.address, **quiet)
        else:
            ray.init(
                address="local", num_cpus=int(worker["CPU"]) * engine.workers,
                num_gpus=int(worker.get("GPU", 0)) * engine.workers, include_dashboard=False,
                object_store_memory=STORE_BYTES, _temp_dir=str(folder), **quiet,
            )  # fmt: skip
    except (ConnectionError, OSError, RuntimeError, ValueError, AssertionError) as error:
        raise _unreachable(engine, error) from error
    _require_room(worker)


def _unreachable(engine: EngineOptions, error: Exception) -> SettingsError:
    cause = str(error).strip().splitlines() or [type(error).__name__]
    if engine.address is None:
        return SettingsError(
            f"A Ray cluster cannot be started on this machine: {cause[0]}",
            hint="Check free memory and space in the folder of temporary files.",
        )
    return SettingsError(
        f"The Ray cluster at {engine.address} cannot be reached: {cause[0]}",
        hint="`ray status` on one of its machines says whether it lives. Its Python and Ray must "
        "be the same as here; where it asks for a token, set RAY_AUTH_MODE=token and put the "
        "token into ~/.ray/auth_token. Without --address a cluster is started for the run.",
    )


def _require_room(worker: Mapping[str, float]) -> None:
    """Refuse a cluster that has no room for any worker: Ray would wait for it for ever."""
    import ray

    have = ray.cluster_resources()
    short = [kind for kind, count in worker.items() if have.get(kind, 0.0) < count]
    if short:
        raise SettingsError(
            f"The Ray cluster has {have.get(short[0], 0):g} {short[0]}s; "
            f"one worker needs {worker[short[0]]:g}.",
            hint="Add machines to it, or lower MOVIEREC_THREADS or choose --device cpu.",
        )


def own_signals() -> Callable[[], None]:
    """Return what puts the handlers of signals back as they are now.

    Ray sets its own, and a run has to hear when it is to end.
    """
    kept = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in kept.items():
            with suppress(ValueError):  # only the main thread may
                signal.signal(number, handler)

    return restore
