"""What the recommended lists are like, apart from being right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from movierec.data.dataset import IntArray
from movierec.evaluation.ratings import Float64Array

__all__ = [
    "beyond_accuracy",
    "catalogue_coverage",
    "gini",
    "intra_list_diversity",
    "novelty_bits",
    "personalisation",
    "popularity_percentile",
]

NAN = float("nan")


def beyond_accuracy(
    lists: IntArray, popularity: IntArray, n_raters: int, genres: npt.NDArray[np.float32]
) -> dict[str, float]:
    """Measure the lists.

    Shapes: lists: (n_users, k) movies, -1 for no movie; popularity: (n_movies,) known ratings of
    each movie; genres: (n_movies, n_genres) multi-hot. `n_raters` users have known ratings.
    """
    shown = lists[lists >= 0]
    exposure = np.bincount(shown, minlength=len(popularity))
    return {
        "catalogue_coverage": catalogue_coverage(exposure),
        "gini": gini(exposure),
        "popularity_percentile": popularity_percentile(shown, popularity),
        "novelty_bits": novelty_bits(shown, popularity, n_raters),
        "intra_list_diversity": intra_list_diversity(lists, genres),
        "personalisation": personalisation(exposure, len(lists)),
    }


def catalogue_coverage(exposure: IntArray) -> float:
    """Share of the movies that are in at least one list; NaN without lists.

    Shapes: exposure: (n_movies,) in how many lists each movie is.
    """
    return float((exposure > 0).mean()) if exposure.any() else NAN


def gini(exposure: IntArray) -> float:
    """Gini coefficient of exposure: 0 when all movies are shown equally often, near 1 when one is.

    sum((2i - n - 1) x_i) / (n sum(x)) over the n movies in ascending exposure; NaN without lists.
    """
    n, total = len(exposure), exposure.sum()
    if not total:
        return NAN
    rank = np.arange(1, n + 1)
    return float(((2 * rank - n - 1) * np.sort(exposure)).sum() / (n * total))


def popularity_percentile(shown: IntArray, popularity: IntArray) -> float:
    """Mean over shown movies of the share of movies less popular than they: 0.5 is neutral.

    Half of the equally popular ones count, so a random list has 0.5 in the mean. NaN without lists.
    """
    if not shown.size:
        return NAN
    _, place, equals = np.unique(popularity, return_inverse=True, return_counts=True)
    below = np.cumsum(equals) - equals / 2
    return float(below[place][shown].mean() / len(popularity))


def novelty_bits(shown: IntArray, popularity: IntArray, n_raters: int) -> float:
    """Mean self-information of the shown movies in bits: log2(n_raters / number who rated it).

    Zhou et al. (2010). A movie that nobody rated counts as if one user had. NaN without lists.
    """
    if not shown.size or not n_raters:
        return NAN
    return float(np.log2(n_raters / np.maximum(popularity[shown], 1)).mean())


def intra_list_diversity(lists: IntArray, genres: npt.NDArray[np.float32]) -> float:
    """Mean over lists of 1 - mean cosine of the genre vectors of two movies in the list.

    Movies without a genre are left out; NaN when no list has two movies with genres.
    """
    norm = np.linalg.norm(genres, axis=1)
    known = (lists >= 0) & (norm > 0)[lists]
    row, place = np.nonzero(known)
    unit = genres / np.maximum(norm, 1e-12)[:, None]
    shape = (len(lists), len(genres))
    membership = sparse.csr_matrix((np.ones(len(row)), (row, lists[row, place])), shape=shape)
    count = known.sum(1)
    # |sum of unit vectors|² = count + 2 * (sum of the cosines of all pairs)
    cosines = (((membership @ unit) ** 2).sum(1) - count) / 2
    return _mean_diversity(cosines, count * (count - 1) / 2)


def _mean_diversity(cosines: Float64Array, pairs: Float64Array) -> float:
    if not (pairs > 0).any():
        return NAN
    return float((1 - cosines[pairs > 0] / pairs[pairs > 0]).mean())


def personalisation(exposure: IntArray, n_lists: int) -> float:
    """1 - mean overlap of two users' lists: 0 when all lists are the same, 1 when none share.

    The overlap is the shared movies over the lists' mean length. NaN with fewer than two lists.
    """
    total = exposure.sum()
    if n_lists < 2 or not total:
        return NAN
    shared = (exposure * (exposure - 1)).sum()  # each movie is shared by c(c - 1)/2 pairs of lists
    return float(1 - shared / ((n_lists - 1) * total))
