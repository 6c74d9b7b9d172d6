"""What measuring versions together is asked to do. Imports no torch: the pages call this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from movierec.data.splits import recorded_spec
from movierec.errors import EvaluationError, HyperparameterError, MovierecError
from movierec.store import Store, VersionRecord
from movierec.workflows.command import train_command
from movierec.workflows.requests import TrainRequest, said_of

__all__ = ["MOST_VERSIONS", "MeasureRequest", "require_one_task", "retraining"]

MOST_VERSIONS = 50


class MeasureRequest(BaseModel):
    """Versions to be measured on ratings that none of them has seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: tuple[str, ...] = Field(description="which versions, each once")

    @field_validator("versions")
    @classmethod
    def _several(cls, versions: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for place, name in enumerate(versions) if name in versions[:place]]
        if twice:
            raise ValueError(f"{twice[0]} is named twice")
        if not 2 <= len(versions) <= MOST_VERSIONS:
            raise ValueError(f"{len(versions)} named")
        return versions

    @classmethod
    def of(cls, versions: Sequence[str]) -> Self:
        """Make a request; HyperparameterError when there are too few versions, or one twice."""
        try:
            return cls(versions=tuple(versions))
        except ValidationError as error:
            raise HyperparameterError(
                f"These versions can't be measured together: {said_of(error.errors()[0])}.",
                hint=f"Name 2 to {MOST_VERSIONS} of them, each once.",
            ) from error


def require_one_task(store: Store, records: Sequence[VersionRecord]) -> None:
    """Refuse versions that no held-out rating could tell apart fairly.

    Raises:
        EvaluationError: they were trained on different data, or users whom some have never met
            are known to others.

    """
    first = records[0]
    for other in records[1:]:
        if other.fingerprint != first.fingerprint:
            raise EvaluationError(
                f"{first.name} was trained on {first.dataset_name} and {other.name} on "
                f"{_other_data(first, other)}: there are no ratings to measure both on.",
                hint=retraining(store, other, on=first),
            )
        if _is_cold(other) != _is_cold(first):
            cold, warm = (other, first) if _is_cold(other) else (first, other)
            raise EvaluationError(
                f"{cold.name} was measured on users whom it had never met, and {warm.name} has "
                "learnt from those users' ratings: what both hold out asks different things of "
                "the two.",
                hint=retraining(store, warm, on=cold),
            )


def retraining(store: Store, record: VersionRecord, *, on: VersionRecord) -> str:
    """Say how to train a version's settings again on the data and split of another one."""
    data = store.datasets.find(on.fingerprint)  # it may be called otherwise here
    wanted = f"Train {record.name} again on {on.name}'s data and split"
    try:
        request = _request(store, record).model_copy(
            update={
                "dataset": data.name if data else on.dataset_name,
                "split": recorded_spec(on.metadata.split),
            }
        )
        command = train_command(request, request.hyperparameters, {})
    except (MovierecError, ValidationError, KeyError, TypeError):
        return f"{wanted}: `movierec train`."  # settings of another movierec
    return f"{wanted}: `{command}`."


def _request(store: Store, record: VersionRecord) -> TrainRequest:
    """Return what a version's run was asked for; without the run, what its metadata tells."""
    if record.run_id is not None:
        run = store.runs.get(record.run_id)
        if run.version == record.name and run.kind == "train":
            return TrainRequest.of(**run.request)
    facts = record.metadata
    return TrainRequest.of(
        preset=record.preset,
        hyperparameters=facts.hyperparameters,
        seed=facts.seed or 0,
        members=facts.members or 1,
        refit=bool(facts.refit),
    )


def _other_data(first: VersionRecord, other: VersionRecord) -> str:
    if first.dataset_name != other.dataset_name:
        return other.dataset_name
    return f"other ratings under the name {other.dataset_name}"


def _is_cold(record: VersionRecord) -> bool:
    return record.metadata.split.name == "cold-users"
