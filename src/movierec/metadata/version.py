"""The whole `metadata.json` of a version."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError

from movierec.metadata.parts import (
    Count,
    Durations,
    EpochSummary,
    EvaluationSummary,
    FileFacts,
    FitSummary,
    FittedCalibration,
    FittedResiduals,
    GitState,
    Hash,
    MeasuredTogether,
    Number,
    Numbers,
    RecordedPart,
    RecordedSplit,
    ReliabilityBin,
    Scalars,
    SliceSummary,
    Text,
    Time,
)

__all__ = ["VersionMetadata"]


def _empty_for_null(value: object) -> object:
    return {} if value is None else value


class VersionMetadata(RecordedPart):
    """The whole `metadata.json` of a version, or some of it.

    The registry writes the first block. `metrics` are those of the validation part,
    `evaluation` those of the test part, `floors` those of reference baselines on the same test
    part, by name.
    """

    model_version: Text = ""
    model: Text = ""
    preset: Text = ""
    dataset_name: Text = ""
    fingerprint: str = ""
    split_label: Text = ""
    created_at: Time | None = None
    run_id: int | None = None
    parameters: Count = 0
    files: dict[str, FileFacts] = Field(default_factory=dict)

    training_date: Time | None = None
    evaluation: Annotated[EvaluationSummary, BeforeValidator(_empty_for_null)] = EvaluationSummary()
    floors: dict[str, EvaluationSummary] = Field(default_factory=dict)
    slices: list[SliceSummary] = Field(default_factory=list)
    reliability: list[ReliabilityBin] = Field(default_factory=list)
    training_history: list[EpochSummary] = Field(default_factory=list)
    metrics: Numbers = Field(default_factory=dict)
    metrics_protocol: Text | None = None
    metrics_measured_on: Text | None = None
    hyperparameters: Scalars = Field(default_factory=dict)
    split: RecordedSplit = RecordedSplit()
    split_test_sha256: str | None = None
    calibration: FittedCalibration = FittedCalibration()
    residuals: FittedResiduals = FittedResiduals()
    fits: list[FitSummary] = Field(default_factory=list)
    member_seeds: list[int] = Field(default_factory=list)
    members: Annotated[int, Field(ge=1)] | None = None
    refit: bool | None = None
    refit_steps: int | None = None
    seed: int | None = None
    best_epoch: int | None = None
    epochs_trained: Count | None = None
    best_val_loss: Number = None
    final_train_loss: Number = None
    mean_rating: Number = None
    num_users_trained: Count | None = None
    num_movies: Count | None = None
    num_ratings: Count | None = None
    num_parameters: Count | None = None
    data_source: Text | None = None
    data_fingerprint: Hash | None = None
    user_ids_sha256: Hash | None = None
    movie_ids_sha256: Hash | None = None
    database_path: Text | None = None
    device: Text | None = None
    engine: Text | None = None
    workers: Annotated[int, Field(ge=1)] | None = None
    threads: int | None = None
    durations: Durations = Durations()
    peak_memory_mb: Number = None
    libraries: dict[str, Text | None] = Field(default_factory=dict)
    git: GitState = GitState()
    measured_together: MeasuredTogether | None = None

    _document: Mapping[str, Any] | None = PrivateAttr(None)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read metadata that is already kept, of whatever release.

        What has another type than its field counts as not recorded; `as_dict` still has it.
        """
        made = cls._read(dict(document))
        made._document = document
        return made

    @classmethod
    def _read(cls, document: dict[str, Any]) -> Self:
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            wrong = {_path_in(document, part["loc"]) for part in error.errors(include_url=False)}
            return cls._read(_without(document, wrong))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object: key for key what was read, unknown keys included."""
        return super().as_dict() if self._document is None else dict(self._document)

    @property
    def required_mean_rating(self) -> float:
        """The mean rating in stars that a GraphSAGE starts from; ValueError without one."""
        if self.mean_rating is None:
            raise ValueError("mean_rating is not recorded")
        return float(self.mean_rating)

    def with_facts(self, **facts: Any) -> Self:
        """Return it with other values in some fields, given as plain data."""
        return self.of({**self.as_dict(), **facts})


Path: TypeAlias = tuple[int | str, ...]


def _path_in(document: Any, location: Path) -> Path:
    """Return how far an error's location leads into a document; beyond it names tried types."""
    path: list[int | str] = []
    for step in location:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            break
        path.append(step)
    return tuple(path)


def _without(node: Any, paths: Collection[Path]) -> Any:
    """Return a copy of a document without what lies at the paths."""
    if not paths:
        return node
    steps = range(len(node)) if isinstance(node, list) else [*node]
    below = {step: [path[1:] for path in paths if path[:1] == (step,)] for step in steps}
    kept = {step: _without(node[step], below[step]) for step in steps if () not in below[step]}
    return [*kept.values()] if isinstance(node, list) else kept
