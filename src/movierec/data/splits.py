"""How ratings are divided into train, validation and test parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.errors import SplitError
from movierec.metadata import RecordedSplit

__all__ = [
    "SPLIT_NAMES",
    "CommonSpec",
    "Split",
    "SplitName",
    "SplitSpec",
    "common_split",
    "make_split",
    "recorded_spec",
    "recorded_split",
]


SplitName = Literal[
    "u1", "u2", "u3", "u4", "u5", "random", "temporal", "leave-last-n", "cold-users"
]
SPLIT_NAMES: tuple[SplitName, ...] = (
    "u1", "u2", "u3", "u4", "u5", "random", "temporal", "leave-last-n", "cold-users",
)  # fmt: skip
COLD_USER_SHARE = 0.1


class SplitSpec(BaseModel):
    """Which split, and the numbers that pin it down."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: SplitName = "random"
    seed: int = Field(42, ge=0, le=2**31 - 1, description="seed of the shuffle")
    test_fraction: float = Field(
        0.2, gt=0, lt=0.9, description="share of the ratings held out (random, temporal)"
    )
    validation_fraction: float = Field(
        0.1, gt=0, lt=0.9, description="share of the train part that picks the epoch"
    )
    last_n: int = Field(5, ge=1, le=1000, description="newest ratings per user (leave-last-n)")
    given: int = Field(
        5, ge=0, le=1000, description="oldest ratings given to each new user (cold-users)"
    )

    @property
    def label(self) -> str:
        """Short text that tells two splits apart, e.g. "random 80/20, seed 42"."""
        share = f"{100 - 100 * self.test_fraction:g}/{100 * self.test_fraction:g}"
        extra = {
            "random": f" {share}, seed {self.seed}",
            "temporal": f" {share}",
            "leave-last-n": f" (n = {self.last_n})",
            "cold-users": f" ({self.given} given), seed {self.seed}",
        }
        return self.name + extra.get(self.name, "")


class CommonSpec(BaseModel):
    """What several splits hold out alike, so that versions of each can be measured on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["common"] = "common"
    versions: tuple[str, ...] = Field(description="the versions that are measured together")
    parts: tuple[SplitSpec, ...] = Field(min_length=2, description="the splits they were made on")
    seed: None = None

    @property
    def label(self) -> str:
        """Short text, e.g. "common to v1.0.0 and v1.1.0"."""
        *before, last = self.versions
        return f"common to {', '.join(before)} and {last}"


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the ratings in each part.

    `train`, `validation`, `test` and `support` are disjoint and cover every rating.
    `support` holds what is told about users who are absent from training (cold-users only);
    a model may observe it after training, never learn from it.
    """

    spec: SplitSpec | CommonSpec
    train: IntArray
    validation: IntArray
    test: IntArray
    support: IntArray

    @property
    def known(self) -> IntArray:
        """Positions that may be known when the test part is predicted, in source order."""
        return _others(self.n_ratings, self.test)

    @property
    def learnable(self) -> IntArray:
        """Positions of the train and validation part, in source order."""
        return _others(self.n_ratings, self.test, self.support)

    @property
    def n_ratings(self) -> int:
        """Number of ratings in all parts: those of the data set."""
        return sum(map(len, (self.train, self.validation, self.test, self.support)))

    @cached_property
    def sha256(self) -> str:
        """Hash over the test positions: equal hash, same test ratings."""
        return hashlib.sha256(np.ascontiguousarray(self.test, "<i8").tobytes()).hexdigest()


def make_split(dataset: Dataset, spec: SplitSpec) -> Split:
    """Divide a data set.

    Raises:
        SplitError: the data set cannot give this split (no timestamps, not 100,000 ratings
            for u1…u5, a part would be empty).

    """
    n = dataset.n_ratings
    test, support = _HELD_OUT[spec.name](dataset, spec)
    learn = _others(n, test, support)
    validation = _validation(dataset.ratings, learn, spec)
    train = _others(n, test, support, validation)
    _require_parts(spec, train=train, validation=validation, test=test)
    return Split(spec, train, np.sort(validation), np.sort(test), np.sort(support))


def _others(size: int, *parts: IntArray) -> IntArray:
    """Return the positions below `size` that are in none of the parts, ascending."""
    rest = np.ones(size, bool)
    for part in parts:
        rest[part] = False
    return np.flatnonzero(rest)


def _require_parts(spec: SplitSpec, **parts: IntArray) -> None:
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise SplitError(
            f"The split {spec.label} leaves the {' and '.join(empty)} part empty.",
            hint="Use a larger data set or another split.",
        )


def _validation(ratings: Interactions, learn: IntArray, spec: SplitSpec) -> IntArray:
    size = round(len(learn) * spec.validation_fraction)
    if spec.name == "temporal":
        return _newest(_times(ratings, spec), learn, size)
    rng = np.random.default_rng([spec.seed, 1])
    return rng.permutation(learn)[:size]


def _times(ratings: Interactions, spec: SplitSpec) -> IntArray:
    if ratings.timestamp is None:
        raise SplitError(
            f"The split {spec.label} needs timestamps and this data set has none.",
            hint="Import it with --timestamp-column, or use the random split.",
        )
    return ratings.timestamp


def _newest(times: IntArray, positions: IntArray, size: int) -> IntArray:
    """Return the `size` newest positions and every tie of the oldest of them.

    Taking the ties too keeps the invariant: no remaining rating at or after the cut.
    """
    if not size:
        return positions[:0]
    own = times[positions]
    newest: IntArray = positions[own >= np.partition(own, len(own) - size)[len(own) - size]]
    return newest


def _fold(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray]:
    if dataset.n_ratings != 100_000:
        raise SplitError(
            f"{spec.name} is a fold of MovieLens 100K; this data set has "
            f"{dataset.n_ratings:,} ratings, not 100,000.",
            hint="Use the random or temporal split.",
        )
    fold = int(spec.name[1:])
    return np.arange((fold - 1) * 20_000, fold * 20_000), _none()


def _random(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng([spec.seed, 0])
    size = round(dataset.n_ratings * spec.test_fraction)
    return rng.permutation(dataset.n_ratings)[:size], _none()


def _temporal(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray]:
    everything = np.arange(dataset.n_ratings)
    size = round(dataset.n_ratings * spec.test_fraction)
    return _newest(_times(dataset.ratings, spec), everything, size), _none()


def _leave_last(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray]:
    order, rank, count = _by_user_and_time(dataset, spec)
    # a user with n ratings or fewer keeps all of them for training
    last = (rank >= count - spec.last_n) & (count > spec.last_n)
    return order[last], _none()


def _cold_users(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng([spec.seed, 0])
    size = max(1, round(dataset.n_users * COLD_USER_SHARE))
    is_cold = np.zeros(dataset.n_users, bool)
    is_cold[rng.permutation(dataset.n_users)[:size]] = True
    order, rank, _ = _by_user_and_time(dataset, spec)
    cold = is_cold[dataset.ratings.user[order]]
    return order[cold & (rank >= spec.given)], order[cold & (rank < spec.given)]


def _by_user_and_time(dataset: Dataset, spec: SplitSpec) -> tuple[IntArray, IntArray, IntArray]:
    """Return positions sorted by user and time, each one's rank in its user, the user's count."""
    ratings = dataset.ratings
    order = np.lexsort((_times(ratings, spec), ratings.user))  # stable: ties in source order
    user = ratings.user[order]
    counts = np.bincount(user, minlength=dataset.n_users)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return order, np.arange(len(user)) - starts[user], counts[user]


def _none() -> IntArray:
    return np.zeros(0, np.int64)


_HELD_OUT: dict[str, Callable[[Dataset, SplitSpec], tuple[IntArray, IntArray]]] = {
    **dict.fromkeys(("u1", "u2", "u3", "u4", "u5"), _fold),
    "random": _random,
    "temporal": _temporal,
    "leave-last-n": _leave_last,
    "cold-users": _cold_users,
}


def common_split(dataset: Dataset, spec: CommonSpec) -> Split:
    """Return the split whose test part every one of the splits holds out.

    Known is what any of them knows (train, validation or support part), all of it in the train
    part: a movie that one version has learnt of is no candidate for any. As each split covers
    every rating, a rating is either known so or in the test part. That may be empty.

    Raises:
        SplitError: the data set cannot give one of the splits.

    """
    splits = [make_split(dataset, part) for part in spec.parts]
    test = reduce(np.intersect1d, (split.test for split in splits))
    known = reduce(np.union1d, (split.known for split in splits))
    none = np.zeros(0, np.int64)
    return Split(spec, known, none, test, none)


def recorded_split(dataset: Dataset, recorded: RecordedSplit) -> Split:
    """Make the split that a version's metadata describes, a common one too.

    Raises:
        ValueError: it describes none.
        SplitError: the data set cannot give it.

    """
    spec = recorded_spec(recorded)
    return (
        common_split(dataset, spec) if isinstance(spec, CommonSpec) else make_split(dataset, spec)
    )


def recorded_spec(recorded: RecordedSplit) -> SplitSpec | CommonSpec:
    """Return what a version's metadata says of its split; ValueError where that is no split."""
    if not recorded.is_recorded:
        raise ValueError("the split is not recorded")
    kind = CommonSpec if recorded.name == "common" else SplitSpec
    return kind.model_validate(recorded.as_dict())
