"""Every error movierec raises on purpose.

MovierecError
├── SettingsError        a setting, path or port that cannot be used
├── DataError            rating data that cannot be read or used
│   ├── SourceError      a data set that cannot be obtained or fails its checksum
│   ├── FormatError      a file that is not what it claims to be
│   ├── EmptyDataError   nothing is left after the checks
│   └── SplitError       a split the data set cannot give
├── NotFoundError        a data set, run, version, user or movie that does not exist
├── StoreError           the database cannot be opened, migrated or written
├── HyperparameterError  hyperparameters that are out of bounds or contradict each other
├── TrainingError        training cannot go on
│   └── NonFiniteError   a loss or gradient became NaN or infinite
├── EvaluationError      a metric asked for what the inputs do not allow
│   └── PromotionError   a version that may not become current
└── ArtifactError        a version's files are missing, changed or not trustworthy
    └── UntrustedError   an artifact asks for code that is not on the short list

Foreign exceptions are translated at the edge that sees them. A message says what is wrong
and where; `hint` says what to do about it.
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "DataError",
    "EmptyDataError",
    "EvaluationError",
    "FormatError",
    "HyperparameterError",
    "MovierecError",
    "NonFiniteError",
    "NotFoundError",
    "PromotionError",
    "SettingsError",
    "SourceError",
    "SplitError",
    "StoreError",
    "TrainingError",
    "UntrustedError",
]


class MovierecError(Exception):
    """Base of the tree: a one-line message and, where there is one, a hint.

    `exit_code` is what the command line returns for it (documented in `movierec --help`).
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[MovierecError], message: str, hint: str) -> MovierecError:
    return kind(message, hint=hint)


class SettingsError(MovierecError):
    """A setting, path or port that cannot be used."""

    exit_code = 2


class DataError(MovierecError):
    """Rating data that cannot be read or used."""

    exit_code = 3


class SourceError(DataError):
    """A data set that cannot be obtained or fails its checksum."""


class FormatError(DataError):
    """A file that is not what it claims to be."""


class EmptyDataError(DataError):
    """Nothing is left after the checks."""


class SplitError(DataError):
    """A split that the data set cannot give."""


class NotFoundError(MovierecError):
    """A data set, run, version, user or movie that does not exist."""

    exit_code = 4


class StoreError(MovierecError):
    """The database cannot be opened, migrated or written."""

    exit_code = 5


class HyperparameterError(MovierecError):
    """Hyperparameters that are out of bounds or contradict each other."""

    exit_code = 2


class TrainingError(MovierecError):
    """Training cannot go on."""

    exit_code = 6


class NonFiniteError(TrainingError):
    """A loss or gradient became NaN or infinite."""


class EvaluationError(MovierecError):
    """A metric asked for what the inputs do not allow."""

    exit_code = 7


class PromotionError(EvaluationError):
    """A version that may not become current, as something speaks against it."""


class ArtifactError(MovierecError):
    """A version's files are missing, changed or not trustworthy."""

    exit_code = 8


class UntrustedError(ArtifactError):
    """An artifact asks for code that is not on the short list."""
