"""What `metadata.json` has in it: evaluations, protocols, splits, epochs and the rest."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
)

__all__ = [
    "STRANGER",
    "CalibrationSummary",
    "Count",
    "Durations",
    "EpochSummary",
    "EvaluationSummary",
    "FileFacts",
    "FitSummary",
    "FittedCalibration",
    "FittedResiduals",
    "GitState",
    "Hash",
    "MeasuredTogether",
    "MeasurementProtocol",
    "Number",
    "Numbers",
    "RatingErrors",
    "RecordedPart",
    "RecordedSplit",
    "ReliabilityBin",
    "Scalars",
    "SliceSummary",
    "Text",
    "Time",
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


Text: TypeAlias = Annotated[str, AfterValidator(_short)]
Hash: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Time: TypeAlias = Annotated[AwareDatetime, Field(strict=False)]  # ISO 8601, as JSON has it
Number: TypeAlias = float | int | None  # None: not measured
Scalar: TypeAlias = float | int | bool | str | None
Numbers: TypeAlias = dict[str, Number]
Scalars: TypeAlias = dict[str, Scalar]


class RecordedPart(BaseModel):
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


class RecordedSplit(RecordedPart):
    """A `SplitSpec` or `CommonSpec` as it was recorded, perhaps by another release."""

    name: str | None = None
    seed: int | None = None
    test_fraction: Number = None
    validation_fraction: Number = None
    last_n: int | None = None
    given: int | None = None


class MeasurementProtocol(RecordedPart):
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


class CalibrationSummary(RecordedPart):
    """How far probabilities came true, see `evaluation.calibration.DistributionQuality`."""

    ece: Number = None
    ece_per_threshold: Numbers = {}
    nll: Number = None
    coverage_80: Number = None
    claimed_80: Number = None
    width_80: Number = None
    n: Number = None


class RatingErrors(RecordedPart):
    """Errors of predicted ratings, in stars."""

    rmse: Number = None
    mae: Number = None


class EvaluationSummary(RecordedPart):
    """Every number of an `Evaluation`, of the version or of a reference baseline.

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


class SliceSummary(RecordedPart):
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


class ReliabilityBin(RecordedPart):
    """Predicted and observed share of ratings above a threshold (stars), in one bin."""

    __pydantic_extra__: Numbers

    threshold: Number = None
    bin: Number = None
    predicted: Number = None
    observed: Number = None
    count: Number = None


class EpochSummary(RecordedPart):
    """One line of the training history, see `EpochRecord`."""

    __pydantic_extra__: Scalars

    epoch: int | None = None
    train_loss: Number = None
    val_loss: Number = None
    val_rmse: Number = None
    val_ndcg_10: Number = None
    seconds: Number = None
    is_best: bool = False


class FitSummary(RecordedPart):
    """One fit of a training: a member's, or that which found the steps of a refit."""

    __pydantic_extra__: Scalars

    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    ratings: int | None = None
    seconds: Number = None


class FittedCalibration(RecordedPart):
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


class FittedResiduals(RecordedPart):
    """How much of a user's own residuals is believed, chosen on the validation part."""

    __pydantic_extra__: Scalars

    taste: Number = None
    time: Number = None
    most_ratings: Number = None
    validation_ratings: Number = None
    val_rmse_without: Number = None
    val_rmse_with_taste: Number = None
    val_rmse: Number = None


class Durations(RecordedPart):
    """Seconds of wall time of each stage of a training, and of all together."""

    __pydantic_extra__: Numbers

    load: Number = None
    split: Number = None
    fit: Number = None
    evaluate: Number = None
    export: Number = None
    total: Number = None


class GitState(RecordedPart):
    """The commit of the code, and whether files differed from it."""

    __pydantic_extra__: Scalars

    commit: str | None = None
    dirty: bool | None = None


class MeasuredTogether(RecordedPart):
    """That the numbers are not of the version's own test part; never stored with a version."""

    versions: list[str] = []
    created_at: str | None = None
    own_split: RecordedSplit | None = None
    caveats: list[str] = []
