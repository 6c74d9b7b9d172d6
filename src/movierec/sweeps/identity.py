"""Identity of a sweep: its name, and the settings that all work on it must share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.sweeps.records import DIRECTIONS
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.storage import SweepStore
from movierec.workflows.requests import TrainRequest, full_hyperparameters

__all__ = ["begin", "named", "stored_request"]

# what two sweeps of one name must share, and how the error names what differs
_IDENTITY = {
    "fingerprint": "other data", "split": "another split", "preset": "another preset",
    "metric": "another metric", "search": "another search space", "seed": "another seed",
    "base": "other hyperparameters",
}  # fmt: skip
_GROWING = ("split", "base")  # fields that a newer movierec has besides do not count


class Data(Protocol):
    """A data set or its row."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def fingerprint(self) -> str:
        """The hash of its content."""


def begin(request: SweepRequest, settings: Settings, data: Data) -> SweepRequest:
    """Store a sweep that is new; return its request with its name and that of its data set.

    Raises:
        HyperparameterError: the request cannot be carried out.
        StoreError: the name is of another sweep, or the sweeps' file cannot be used.

    """
    request = named(request.complete(), settings)
    training = request.training.model_copy(update={"dataset": data.name})
    request = request.model_copy(update={"training": training})
    store, name = SweepStore(settings), str(request.name)
    facts = _facts(request, data)
    if name not in store.names():
        store.create(name, DIRECTIONS[request.metric or "val_rmse"], facts)
        return request
    found = store.facts(name)
    other = [text for key, text in _IDENTITY.items() if not _same(key, found, facts)]
    if other:
        raise StoreError(
            f"The sweep {name} was started with {' and '.join(other)}; "
            "its trials could not be compared with new ones.",
            hint=f"Use another --name, or `movierec sweep --name {name}` alone to go on as it was.",
        )
    return request


def named(request: SweepRequest, settings: Settings) -> SweepRequest:
    """Return the request with a name; where it has none, the preset's name and a free number."""
    if request.name is not None:
        return request
    name = _free_name(request.training.preset, SweepStore(settings).names())
    return request.model_copy(update={"name": name})


def stored_request(settings: Settings, name: str) -> SweepRequest | None:
    """Return the request a sweep was started with; None where there is no such sweep."""
    store = SweepStore(settings)
    if name not in store.names():
        return None
    return SweepRequest(**store.facts(name)["request"], name=name)


def _free_name(preset: str, names: Collection[str]) -> str:
    numbered = (f"{preset}-{number}" for number in count(1))
    return next(name for name in numbered if name not in names)


def _facts(request: SweepRequest, data: Data) -> dict[str, Any]:
    training = request.training
    preset = full_hyperparameters(TrainRequest(preset=training.preset))
    return {
        "request": request.model_dump(mode="json", exclude={"name"}),
        "created_at": datetime.now(UTC).isoformat(),
        "fingerprint": data.fingerprint,
        "split": training.split.model_dump(),
        "preset": training.preset,
        "metric": request.metric,
        "search": {name: dimension.text for name, dimension in request.space.items()},
        "seed": training.seed,
        "base": {**preset, **training.hyperparameters},
    }


def _same(key: str, stored: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if key not in _GROWING:
        return bool(stored[key] == new[key])
    return all(new[key].get(name) == value for name, value in stored[key].items())
