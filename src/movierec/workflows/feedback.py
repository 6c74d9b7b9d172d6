"""Thumbs and named newcomers as ratings: a new data set that anything can be trained on."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.catalogue import MAX_AGE, usable_id
from movierec.data.convert import on_scale
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale, fingerprint_of
from movierec.data.validation.checks import BAD_ID, FIRST_LINES, OFF_SCALE, UNKNOWN_MOVIE
from movierec.data.validation.report import DroppedRows, ImportReport, describe
from movierec.errors import EmptyDataError, FormatError
from movierec.settings import Settings
from movierec.store import FeedbackRecord, ProfileRecord, Store, open_store
from movierec.workflows.data import MAX_NAME, ImportOutcome, keep, require_name

__all__ = ["JoinOutcome", "free_name", "join_feedback", "joined", "thumb_stars"]

LIKED, DISLIKED = 0.8, 0.2  # of the way up the scale: 4 and 2 stars on 1 to 5
RATED = "the user has rated the movie"
PROFILE = "profile:"  # begins the user ids that named newcomers get
_ENDING = "+thumbs"


@dataclass(frozen=True)
class JoinOutcome:
    """The new data set, and what of the feedback is in it."""

    imported: ImportOutcome
    thumbs: int
    profile_ratings: int
    new_users: int


@dataclass(frozen=True)
class _Row:
    """A rating that might join; `line` is the number of its thumb or profile."""

    kind: str
    line: int
    user: str
    movie: str
    stars: float
    seconds: int


@dataclass
class _Additions:
    """What joins a data set, row by row, and what does not, by reason."""

    dataset: Dataset
    rated: set[tuple[int, int]]
    new_users: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[int, int, float, int]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    dropped: dict[str, list[int]] = field(default_factory=dict)

    def take(self, row: _Row) -> None:
        """Add a row, or note why it cannot be."""
        reason = self._trouble(row)
        if not reason:
            pair = self._user(row.user), self.dataset.movies.index(row.movie)
            if pair not in self.rated:
                self.rated.add(pair)
                self.rows.append((*pair, row.stars, row.seconds))
                self.kinds.append(row.kind)
                return
            reason = RATED
        self.dropped.setdefault(f"{row.kind}: {reason}", []).append(row.line)

    def _trouble(self, row: _Row) -> str:
        scale = self.dataset.scale
        if not usable_id(row.user):
            return BAD_ID
        if row.movie not in self.dataset.movies:
            return UNKNOWN_MOVIE
        if not on_scale(np.array([row.stars]), scale)[0]:
            return f"{OFF_SCALE} {scale.low:g} to {scale.high:g}"
        return ""

    def _user(self, user: str) -> int:
        if user in self.dataset.users:
            return self.dataset.users.index(user)
        return self.new_users.setdefault(user, self.dataset.n_users + len(self.new_users))


def join_feedback(
    settings: Settings,
    dataset: str | None,
    name: str | None = None,
    *,
    liked: float | None = None,
    disliked: float | None = None,
    profiles: bool = True,
) -> JoinOutcome:
    """Keep a data set's ratings, its thumbs and its named newcomers as a new data set.

    `dataset` is the newest, and `name` made from its name, unless given. `liked` and `disliked`
    are the stars of a thumb, `thumb_stars` by default.

    Raises:
        DataError: the name cannot be or is taken, the stars are not on the scale, or nothing joins.
        NotFoundError: there is no such data set.
        StoreError: the database cannot be read or written.

    """
    with open_store(settings) as store:
        record = store.datasets.get(dataset)
        name = free_name(store, record.name) if name is None else name.strip()
        require_name(name)
        old = store.datasets.load(record.name)
        stars = thumb_stars(old.scale, liked, disliked)
        thumbs = store.feedback.list(record.fingerprint)
        named = store.profiles.list(record.fingerprint) if profiles else []
        new, report, kinds = joined(old, thumbs, named, name, stars)
        outcome = keep(new, report, store)
    return JoinOutcome(
        outcome, kinds.count("thumb"), kinds.count("profile"), new.n_users - old.n_users
    )


def thumb_stars(
    scale: RatingScale, liked: float | None = None, disliked: float | None = None
) -> tuple[float, float]:
    """Return the ratings that a thumb up and a thumb down stand for.

    By default the levels nearest to four fifths and one fifth of the way up the scale.

    Raises:
        FormatError: a rating is not on the scale, or up is not above down.

    """
    up = _level(scale, LIKED) if liked is None else liked
    down = _level(scale, DISLIKED) if disliked is None else disliked
    off = [stars for stars in (up, down) if not on_scale(np.array([stars]), scale)[0]]
    hint = f"The scale goes from {scale.low:g} to {scale.high:g} in steps of {scale.step:g}."
    if off:
        raise FormatError(f"{off[0]:g} stars are not on the scale of this data set.", hint=hint)
    if up <= down:
        raise FormatError(f"A thumb up ({up:g}) must be more than one down ({down:g}).", hint=hint)
    return up, down


def joined(
    dataset: Dataset,
    thumbs: Sequence[FeedbackRecord],
    profiles: Sequence[ProfileRecord],
    name: str,
    stars: tuple[float, float],
) -> tuple[Dataset, ImportReport, list[str]]:
    """Return a new data set, its report and the kind of each rating that joined.

    Thumbs join oldest first, then the profiles by name. What the user has rated before stays as
    it is; who is not among the users becomes one. Lines in the report are numbers of thumbs and
    profiles.

    Raises:
        EmptyDataError: nothing joins; the message counts the reasons.

    """
    started = time.perf_counter()
    rows = [*_thumb_rows(thumbs, stars), *_profile_rows(profiles)]
    added = _Additions(dataset, _rated(dataset, {row.user for row in rows}))
    for row in rows:
        added.take(row)
    dropped = _dropped(added.dropped)
    if not added.rows:
        raise _nothing_joins(dataset, dropped)
    new = _with(dataset, added, _features(profiles), name)
    report = describe(
        new,
        format="ratings joined with feedback",
        ratings_file=f"thumbs and profiles of {dataset.name}",
        files=(),
        rows_read=dataset.n_ratings + len(rows),
        dropped=dropped,
        scale_inferred=False,
        seconds={"joining": time.perf_counter() - started},
    )
    return new, report, added.kinds


def free_name(store: Store, old: str) -> str:
    """Return a name for what is made from a data set, one that is not taken."""
    taken = {record.name for record in store.datasets.list()}
    base = old.removesuffix(_ENDING)[: MAX_NAME - len(_ENDING) - 4] + _ENDING
    more = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (base, *more) if name not in taken)


def _level(scale: RatingScale, share: float) -> float:
    levels = scale.levels
    wanted = scale.low + share * (scale.high - scale.low)
    return float(levels[np.abs(levels - wanted).argmin()])


def _thumb_rows(thumbs: Iterable[FeedbackRecord], stars: tuple[float, float]) -> Iterator[_Row]:
    up, down = stars
    for thumb in sorted(thumbs, key=lambda thumb: (thumb.at, thumb.id)):
        given = up if thumb.is_liked else down
        seconds = int(thumb.at.timestamp())
        yield _Row("thumb", thumb.id, thumb.user_id, thumb.movie_id, given, seconds)


def _profile_rows(profiles: Iterable[ProfileRecord]) -> Iterator[_Row]:
    for profile in profiles:
        user, seconds = PROFILE + profile.name, int(profile.changed_at.timestamp())
        for movie, stars in profile.ratings.items():
            yield _Row("profile", profile.id, user, movie, float(stars), seconds)


def _rated(dataset: Dataset, users: set[str]) -> set[tuple[int, int]]:
    """Return the pairs that these users have rated."""
    known = np.array([dataset.users.index(user) for user in users if user in dataset.users], int)
    ratings = dataset.ratings
    rows = np.isin(ratings.user, known)
    return set(zip(ratings.user[rows].tolist(), ratings.movie[rows].tolist(), strict=True))


def _dropped(lines: Mapping[str, Sequence[int]]) -> tuple[DroppedRows, ...]:
    return tuple(
        DroppedRows(reason, len(found), tuple(found[:FIRST_LINES]))
        for reason, found in lines.items()
    )


def _nothing_joins(dataset: Dataset, dropped: Sequence[DroppedRows]) -> EmptyDataError:
    why = "; ".join(map(str, dropped)) or "there is no thumb and no named profile"
    return EmptyDataError(
        f"Nothing joins {dataset.name}: {why}.",
        hint="Give thumbs or keep a newcomer under a name: on the Recommend page, over the API or "
        "with `movierec feedback add`.",
    )


def _features(profiles: Iterable[ProfileRecord]) -> dict[str, Mapping[str, Any]]:
    return {PROFILE + profile.name: profile.features for profile in profiles}


def _with(
    dataset: Dataset, added: _Additions, features: Mapping[str, Mapping[str, Any]], name: str
) -> Dataset:
    users = IdMap([*dataset.users.ids, *added.new_users], kind="user")
    ratings = _appended(dataset.ratings, added.rows)
    return Dataset(
        name=name,
        fingerprint=fingerprint_of(users, dataset.movies, ratings),
        scale=dataset.scale,
        users=users,
        movies=dataset.movies,
        ratings=ratings,
        user_frame=_with_users(dataset.user_frame, list(added.new_users), features),
        movie_frame=dataset.movie_frame,
        source=f"{dataset.name}, joined with feedback",
    )


def _appended(old: Interactions, rows: Sequence[tuple[int, int, float, int]]) -> Interactions:
    user, movie, stars, seconds = (np.array(column) for column in zip(*rows, strict=True))
    return Interactions(
        np.concatenate([old.user, user]).astype(np.int64),
        np.concatenate([old.movie, movie]).astype(np.int64),
        np.concatenate([old.rating, stars]).astype(np.float32),
        None if old.timestamp is None else np.concatenate([old.timestamp, seconds]),
    )


def _with_users(
    frame: pd.DataFrame, new: Sequence[str], features: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    columns = {
        column: pd.Series(
            [user if column == Columns.USER else _feature(features.get(user, {}), column)
             for user in new],
            dtype=frame[column].dtype,
        )
        for column in map(str, frame.columns)
    }  # fmt: skip
    return pd.concat([frame, pd.DataFrame(columns)], ignore_index=True)


def _feature(known: Mapping[str, Any], column: str) -> float | str | None:
    value = known.get(column)
    if column != Columns.AGE:
        return None if value is None else str(value)
    if isinstance(value, int | float) and 0 < value <= MAX_AGE:
        return float(value)
    return math.nan
