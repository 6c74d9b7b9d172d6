"""Why a movie: which of a person's own ratings carry it, and what is there without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from movierec.data.dataset import FloatArray, IntArray
from movierec.inference.content import VersionContent
from movierec.inference.newcomers import (
    SAME_FOR_ALL,
    feature_row,
    known_ratings,
    recommender_for,
    without,
)
from movierec.inference.person import Person
from movierec.inference.results import Basis, Cause, Explanation, sentence
from movierec.models.arrays import one_thread
from movierec.models.baselines.ease import EASEModel
from movierec.models.factors import FactorModel
from movierec.models.factory import GRAPHSAGE
from movierec.models.graphsage.user_encoder import Ratings, UserVectors
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel

__all__ = ["explain"]

MOST_AGAINST = 3
_SAME_FOR_ALL = (*SAME_FOR_ALL, "random")


def explain(
    version: VersionContent, person: Person, movie_id: str, *, most: int = 5
) -> Explanation:
    """Return why a movie is, or is not, recommended to a person; see `Explanation`.

    Where the model can leave ratings out (GraphSAGE, EASE) the effects are exact: the user's
    vector is computed again without each rating, for all of them at once, while the movies keep
    the states they have in the version's graph. At most `most` ratings that raise the score are
    named, and at most three that lower it.

    Raises:
        NotFoundError: there is no such movie.

    """
    case = _Case(version, person, version.dataset.movies.index(movie_id), most)
    with one_thread():
        return case.explanation()


@dataclass(frozen=True, eq=False)
class _Case:
    """One person and one movie."""

    version: VersionContent
    person: Person
    movie: int
    most: int

    def explanation(self) -> Explanation:
        """Return the whole."""
        causes, against = self._named()
        scores = self.scores
        score = float(scores[self.movie])
        found = Explanation(
            self.version.name,
            self.person.user_id,
            *self.version.facts(self.movie),
            self.person.reason,
            self.basis,
            score,
            self._predicted(),
            self._rank(scores),
            None if self._without is None else self._rank(self._without),
            causes,
            against,
            self._together([*causes]),
            self._shared_genres(),
            float(self.version.popularity[self.movie] / max(1, self.version.dataset.n_users)),
            self._popularity_share(),
            "",
        )
        return sentence(found)

    @cached_property
    def scores(self) -> FloatArray:
        """The person's ranking scores."""
        return self.version.scores_of(self.person)

    @cached_property
    def basis(self) -> Basis:
        """What the causes are."""
        model, kind = self.version.recommender, self.version.metadata.model
        if self.person.reason == "fallback" or not len(self.person.seen) or kind in _SAME_FOR_ALL:
            return "none"
        can_leave = isinstance(model, EASEModel) or self.version.inductive is not None
        return "left-out" if can_leave else "alike"

    @cached_property
    def ratings(self) -> Ratings:
        """The person's ratings, without one of the movie itself."""
        all_ratings = known_ratings(self.version, self.person)
        return without(all_ratings, np.array([self.movie]))

    @cached_property
    def features(self) -> FloatArray:
        """What the model reads of the person beside, (1, f)."""
        version, person = self.version, self.person
        if person.reason in ("known", "no-ratings") and version.preprocessor is not None:
            return version.preprocessor.users(version.dataset.user_frame.iloc[[person.index]])
        return feature_row(version, person.features)

    @cached_property
    def _without(self) -> FloatArray | None:
        """The scores of somebody with the same features and no rating."""
        if self.basis != "left-out" or self.version.metadata.model != GRAPHSAGE:
            return None
        return _scores(self._with(without(self.ratings, self.ratings.movie)))

    def _with(self, ratings: Ratings) -> Recommender:
        return recommender_for(self.version, ratings, self.features)

    @cached_property
    def _whole(self) -> Recommender:
        """What answers for the person with all ratings but the movie's own."""
        return self._with(self.ratings)

    def _stars(self, model: Recommender) -> float:
        return float(model.predict(np.zeros(1, np.int64), np.array([self.movie]))[0])

    def _effects(self) -> FloatArray:
        """Return what each rating adds to the score, relative to the mean movie's, (n,)."""
        model = self.version.recommender
        if isinstance(model, EASEModel):
            weights = model.weights[self.ratings.movie]
            return np.asarray(weights[:, self.movie] - weights.mean(axis=1), np.float32)
        inductive = self.version.inductive
        if inductive is None:
            raise TypeError(type(model))
        whole = inductive.vectors(self.ratings, self.features)
        left = inductive.vectors(self.ratings, self.features, leave_out=True)
        vectors = _ranked_by(model)
        beyond = vectors[self.movie] - vectors.mean(axis=0)
        return np.asarray((_side(whole, model) - _side(left, model)) @ beyond)

    def _named(self) -> tuple[tuple[Cause, ...], tuple[Cause, ...]]:
        if self.basis == "none" or not len(self.ratings):
            return (), ()
        if self.basis == "alike":
            return self._alike(), ()
        effects = self._effects()
        order = np.argsort(-effects, kind="stable")
        helping = [at for at in order.tolist() if effects[at] > 0][: self.most]
        hindering = [at for at in order[::-1].tolist() if effects[at] < 0][:MOST_AGAINST]
        return self._causes(helping, effects), self._causes(hindering, effects)

    def _alike(self) -> tuple[Cause, ...]:
        similarity = np.nan_to_num(self._similarity, nan=-1.0)
        liked = np.flatnonzero(self._is_liked)
        order = liked[np.argsort(-similarity[liked], kind="stable")][: self.most]
        return self._causes(order.tolist(), None)

    @cached_property
    def _similarity(self) -> FloatArray:
        return self.version.likeness.of(self.movie)[self.ratings.movie]

    @property
    def _is_liked(self) -> np.ndarray:
        stars = self.ratings.stars
        return np.asarray(stars >= stars.mean()) if len(stars) else np.zeros(0, np.bool_)

    def _causes(self, places: Sequence[int], effects: FloatArray | None) -> tuple[Cause, ...]:
        whole = self._stars(self._whole) if places and effects is not None else np.nan
        return tuple(self._cause(at, effects, whole) for at in places)

    def _cause(self, at: int, effects: FloatArray | None, whole: float) -> Cause:
        rated = int(self.ratings.movie[at])
        movie_id, title, year, genres = self.version.facts(rated)
        own = self.version.facts(self.movie)[3]
        stars_effect = None
        if effects is not None and np.isfinite(whole):
            stars_effect = whole - self._stars(self._with(without(self.ratings, np.array([rated]))))
        return Cause(
            movie_id,
            title,
            year,
            float(self.ratings.stars[at]),
            None if effects is None else float(effects[at]),
            stars_effect,
            _number(self._similarity[at]),
            tuple(genre for genre in own if genre in genres),
            self._raters_of_both(rated),
        )

    def _raters_of_both(self, other: int) -> int:
        one, two = self.version.raters_of(self.movie), self.version.raters_of(other)
        return len(np.intersect1d(one, two, assume_unique=True))

    def _together(self, causes: Sequence[Cause]) -> float | None:
        if self.basis != "left-out" or not causes:
            return None
        dropped = self.version.dataset.movies.indices([cause.movie_id for cause in causes])
        left = _scores(self._with(without(self.ratings, dropped)))
        return _above_mean(_scores(self._whole), self.movie) - _above_mean(left, self.movie)

    def _predicted(self) -> float | None:
        if self.person.reason == "fallback":
            return None
        at = np.array([self.person.index]), np.array([self.movie])
        return _number(self.person.recommender.predict(*at)[0])

    def _rank(self, scores: FloatArray) -> int:
        """Return the movie's place among those the person has not rated."""
        better = scores > scores[self.movie]
        better[self.person.seen] = False
        return int(better.sum()) + 1

    def _popularity_share(self) -> float | None:
        total = _above_mean(self.scores, self.movie)
        if self.basis == "none":
            return 1.0 if total > 0 else None
        if self._without is None or total <= 0:
            return None
        return min(1.0, max(0.0, _above_mean(self._without, self.movie) / total))

    def _shared_genres(self) -> tuple[tuple[str, float], ...]:
        liked: IntArray = self.ratings.movie[self._is_liked]
        if not len(liked):
            return ()
        theirs = [set(self.version.facts(movie)[3]) for movie in liked.tolist()]
        shares = [
            (genre, sum(genre in genres for genres in theirs) / len(theirs))
            for genre in self.version.facts(self.movie)[3]
        ]
        return tuple(sorted(shares, key=lambda share: -share[1]))


def _ranked_by(model: object) -> FloatArray:
    if not isinstance(model, FactorModel | ResidualModel):
        raise TypeError(type(model))
    return model.movie_vectors


def _side(vectors: UserVectors, model: object) -> FloatArray:
    factors = model.factors if isinstance(model, ResidualModel) else model
    ranks = isinstance(factors, FactorModel) and factors.has_ranking_side
    return vectors.ranking if ranks else vectors.rating


def _scores(model: Recommender) -> FloatArray:
    scores: FloatArray = model.score(np.zeros(1, np.int64))[0]
    return scores


def _above_mean(scores: FloatArray, movie: int) -> float:
    return float(scores[movie] - scores.mean(dtype=np.float64))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
