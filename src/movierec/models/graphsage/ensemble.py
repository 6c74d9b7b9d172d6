"""Several GraphSAGEs of different seeds as one model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from movierec.data.dataset import FloatArray
from movierec.errors import ArtifactError
from movierec.models.factors import FactorModel
from movierec.models.graphsage.network import GraphSage

__all__ = ["as_one_module", "average"]

SIDES = ("rating", "ranking")
MEANS = ("rating_user_bias", "rating_movie_bias", "ranking_movie_bias", "cut_points")


def average(factors: Sequence[FactorModel]) -> FactorModel:
    """Return one model whose scores before the link are the means of the members' scores.

    With N members of one slope the ordinal logits and the ranking scores are

        mean_m(slope * raw_m - c_m) = slope * mean_m(raw_m) - mean_m(c_m)
        mean_m(<p_m, q_m>)          = <[p_1 / N, ..., p_N / N], [q_1, ..., q_N]>

    so that vectors are concatenated, the user's divided by N, and offset, biases and cut
    points are means. Averaged logits are a geometric mean of the members' odds; the ranking
    scores are logits of a softmax over the movies, of whose distributions it is the geometric
    mean, and a member's constant per user ranks nothing. A calibration is of one member's
    probabilities and does not pass over.

    The price: vectors N times as wide, so N times the memory and time per score, and N forward
    passes where the graph changes. One member is returned as it is.

    Raises:
        ArtifactError: the members differ in sizes, scale, slope or in what they predict.

    """
    first, count = factors[0], np.float32(len(factors))
    if len(factors) == 1:
        return first
    _require_alike(factors)
    arrays = {name: _mean(factors, name) for name in MEANS}
    for side in SIDES:
        arrays[f"{side}_user"] = _joined(factors, f"{side}_user") / count
        arrays[f"{side}_movie"] = _joined(factors, f"{side}_movie")
    offset = float(np.mean([member.offset for member in factors]))
    return FactorModel(
        first.n_users, first.n_movies, first.scale, offset=offset, slope=first.slope, **arrays
    )


def as_one_module(models: Sequence[GraphSage]) -> nn.Module:
    """Return what a version's weights belong to: the only model, or all as `members.0`, ...."""
    if len(models) == 1:
        return models[0]
    holder = nn.Module()
    holder.add_module("members", nn.ModuleList(models))
    return holder


def _mean(factors: Sequence[FactorModel], name: str) -> FloatArray:
    values = [getattr(member, name) for member in factors]
    return np.asarray(np.mean(values, axis=0, dtype=np.float64), np.float32)


def _joined(factors: Sequence[FactorModel], name: str) -> FloatArray:
    return np.concatenate([getattr(member, name) for member in factors], axis=1)


def _require_alike(factors: Sequence[FactorModel]) -> None:
    if len({_kind(member) for member in factors}) > 1:
        raise ArtifactError(
            "The members do not fit together: they are not all of one kind and one data set.",
            hint="Average models of one training, which differ in their seeds alone.",
        )


def _kind(member: FactorModel) -> tuple[object, ...]:
    sides = (member.predicts_ratings, member.has_ranking_side)
    shapes = tuple(getattr(member, name).shape for name in MEANS)
    return (member.n_users, member.n_movies, member.scale, member.slope, sides, shapes)
