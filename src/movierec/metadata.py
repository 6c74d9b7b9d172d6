"""A version's metadata: one typed model of `metadata.json`, for all who write or read it.

Whatever a version has ever kept has a field here. Versions of older releases lack some, so
almost every field has a default that means "not recorded"; what a newer release adds is kept
beside the fields (`extra`). Imports pydantic and nothing else, so that every room can read it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
)

__all__ = [
    "STRANGER",
    "CalibrationSummary",
    "Count",
    "EpochSummary",
    "EvaluationSummary",
    "FileFacts",
    "FittedCalibration",
    "GitState",
    "Hash",
    "MeasuredTogether",
    "MeasurementProtocol",
    "Number",
    "RecordedSplit",
    "ReliabilityBin",
    "SliceSummary",
    "Text",
    "Time",
    "VersionMetadata",
]

MAX_TEXT = 200
# as the context of a validation: the metadata is a stranger's, so texts must be short and printable
STRANGER = "stranger"


def _short(text: str, info: ValidationInfo) -> str:
    if info.context != STRANGER:
        return text
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has more than {MAX_TEXT} characters")
    if not text.isprintable():
        raise ValueError("it has control characters")
    return text


def _empty_for_null(value: object) -> object:
    return {} if value is None else value


Text: TypeAlias = Annotated[str, AfterValidator(_short)]
Hash: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Time: TypeAlias = Annotated[AwareDatetime, Field(strict=False)]  # ISO 8601, as JSON has it
Number: TypeAlias = float | int | None  # None: not measured
Scalar: TypeAlias = float | int | bool | str | None
Numbers: TypeAlias = dict[str, Number]
Scalars: TypeAlias = dict[str, Scalar]


class _Part(BaseModel):
    """Something in `metadata.json`. Numbers keep their type: an integer stays one."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", protected_namespaces=())

    @property
    def is_recorded(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.model_fields_set)

    def as_dict(self) -> dict[str, Any]:
        """Return what was recorded, and nothing else."""
        return self.model_dump(exclude_unset=True)


class FileFacts(BaseModel):
    """Size and SHA-256 of one file."""

    model_config = ConfigDict(frozen=True, strict=True)

    sha256: Hash
    bytes: Count


class RecordedSplit(_Part):
    """A `SplitSpec` or `CommonSpec` as it was recorded, perhaps by another release."""

    name: str | None = None
    seed: int | None = None
    test_fraction: Number = None
    validation_fraction: Number = None
    last_n: int | None = None
    given: int | None = None


class MeasurementProtocol(_Part):
    """The rules under which an evaluation was made, by name: see `evaluation.evaluate`."""

    dataset: str | None = None
    fingerprint: str | None = None
    split: str | None = None
    test_sha256: str | None = None
    n_train: int | None = None
    n_validation: int | None = None
    n_support: int | None = None
    n_test: int | None = None
    n_test_users: int | None = None
    k: int | None = None
    predictions: str | None = None
    rating_time: str | None = None
    ties: str | None = None
    mrr: str | None = None
    calibration: str | None = None
    users_ranked: str | None = None
    rated_ranked_by: str | None = None
    candidates: Scalars = {}
    thresholds: Numbers = {}


class CalibrationSummary(_Part):
    """How far probabilities came true, see `evaluation.calibration.DistributionQuality`."""

    ece: Number = None
    ece_per_threshold: Numbers = {}
    nll: Number = None
    coverage_80: Number = None
    claimed_80: Number = None
    width_80: Number = None
    n: Number = None


class RatingErrors(_Part):
    """Errors of predicted ratings, in stars."""

    rmse: Number = None
    mae: Number = None


class EvaluationSummary(_Part):
    """Every number of an `Evaluation`, of the version or of a floor.

    `full`, `full_4`, `rated` and `beyond` hold metrics by name; the length of the lists is part
    of the name, as in `ndcg_at_10`.
    """

    protocol: MeasurementProtocol = MeasurementProtocol()
    rmse: Number = None
    mae: Number = None
    n_ratings: Count | None = None
    full: Numbers = {}
    full_4: Numbers = {}
    rated: Numbers = {}
    beyond: Numbers = {}
    without_time: RatingErrors = RatingErrors()
    calibration: CalibrationSummary = CalibrationSummary()

    def value_at(self, part: str, name: str = "") -> Number:
        """Return one number: that of a field, or that of a name within a field."""
        found = getattr(self, part)
        if name:
            found = found.get(name) if isinstance(found, dict) else getattr(found, name)
        return found  # type: ignore[no-any-return]


class SliceSummary(_Part):
    """The metrics of one group of users or movies; those of lists of another length are extra."""

    __pydantic_extra__: Numbers

    slice: Text
    value: Text
    users: Number = None
    ratings: Number = None
    rmse: Number = None
    mae: Number = None
    ndcg_at_10: Number = None
    recall_at_10: Number = None


class ReliabilityBin(_Part):
    """Predicted and observed share of ratings above a threshold (stars), in one bin."""

    __pydantic_extra__: Numbers

    threshold: Number = None
    bin: Number = None
    predicted: Number = None
    observed: Number = None
    count: Number = None


class EpochSummary(_Part):
    """One line of the training history, see `EpochRecord`."""

    __pydantic_extra__: Scalars

    epoch: int | None = None
    train_loss: Number = None
    val_loss: Number = None
    val_rmse: Number = None
    val_ndcg_10: Number = None
    seconds: Number = None
    is_best: bool = False


class FitSummary(_Part):
    """One fit of a training: a member's, or that which found the steps of a refit."""

    __pydantic_extra__: Scalars

    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    ratings: int | None = None
    seconds: Number = None


class FittedCalibration(_Part):
    """How the probabilities were put right on the validation part."""

    __pydantic_extra__: Scalars

    method: str | None = None
    reason: str | None = None
    temperature: Number = None
    validation_ratings: Number = None
    val_ece_before: Number = None
    val_ece_after: Number = None
    val_nll_before: Number = None
    val_nll_after: Number = None


class FittedResiduals(_Part):
    """How much of a user's own residuals is believed, chosen on the validation part."""

    __pydantic_extra__: Scalars

    taste: Number = None
    time: Number = None
    most_ratings: Number = None
    validation_ratings: Number = None
    val_rmse_without: Number = None
    val_rmse_with_taste: Number = None
    val_rmse: Number = None


class Durations(_Part):
    """Seconds of wall time of each stage of a training, and of all together."""

    __pydantic_extra__: Numbers

    load: Number = None
    split: Number = None
    fit: Number = None
    evaluate: Number = None
    export: Number = None
    total: Number = None


class GitState(_Part):
    """The commit of the code, and whether files differed from it."""

    __pydantic_extra__: Scalars

    commit: str | None = None
    dirty: bool | None = None


class MeasuredTogether(_Part):
    """That the numbers are not of the version's own test part; never stored with a version."""

    versions: list[str] = []
    created_at: str | None = None
    own_split: RecordedSplit | None = None
    caveats: list[str] = []


class VersionMetadata(_Part):
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
    files: dict[str, FileFacts] = {}

    training_date: Time | None = None
    evaluation: Annotated[EvaluationSummary, BeforeValidator(_empty_for_null)] = EvaluationSummary()
    floors: dict[str, EvaluationSummary] = {}
    slices: list[SliceSummary] = []
    reliability: list[ReliabilityBin] = []
    training_history: list[EpochSummary] = []
    metrics: Numbers = {}
    metrics_protocol: Text | None = None
    metrics_measured_on: Text | None = None
    hyperparameters: Scalars = {}
    split: RecordedSplit = RecordedSplit()
    split_test_sha256: str | None = None
    calibration: FittedCalibration = FittedCalibration()
    residuals: FittedResiduals = FittedResiduals()
    fits: list[FitSummary] = []
    member_seeds: list[int] = []
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
    libraries: dict[str, Text | None] = {}
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
