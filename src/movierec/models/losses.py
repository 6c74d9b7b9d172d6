"""What a step minimises: how far ratings are off, and how badly held-out movies rank."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.graph import RatingGraph
from movierec.models.heads import Factors
from movierec.models.sage import GraphSage

__all__ = ["step_loss"]

NEGATIVE_TRIES = 4


def step_loss(
    model: GraphSage, visible: RatingGraph, targets: RatingGraph, features: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Return the weighted parts of the loss on `targets`, seen from the graph `visible`.

    The two graphs are different arguments on purpose: what is predicted need not be, and with
    hidden targets is not, among the messages.
    """
    states = model.encode(visible, *features)
    parts: dict[str, Tensor] = {}
    rating, ranking = model.rating_factors(states), model.ranking_factors(states)
    if rating is not None:
        parts["rating"] = _rating_loss(model, rating, targets)
    if ranking is not None:
        weight = 1.0 if model.config.ranks_only else model.config.ranking_weight
        kind = _bpr if model.config.loss_type == "bpr" else _softmax
        parts["ranking"] = weight * kind(ranking, targets, visible)
    return parts


def _rating_loss(model: GraphSage, factors: Factors, targets: RatingGraph) -> Tensor:
    raw, stars = factors.on_edges(targets), targets.rating
    if model.link is None:
        return _RATING_LOSSES[model.config.loss_type](model.expected_rating(raw), stars)
    sizes = model.sizes
    levels = torch.arange(sizes.n_levels - 1, device=raw.device)
    exceeds = (stars - sizes.rating_low)[:, None] / sizes.rating_step > levels + 0.5
    crossing = F.binary_cross_entropy_with_logits(model.link(raw), exceeds.float())
    error = F.mse_loss(model.expected_rating(raw), stars)
    return error + model.config.ordinal_weight * crossing


def _softmax(factors: Factors, targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Return the mean negative log-likelihood of each target among its user's unseen movies.

    The softmax runs over the whole catalogue without the movies the user visibly rated.
    """
    users = torch.unique_consecutive(targets.user)
    place = torch.full((visible.n_users,), -1, device=users.device)
    place[users] = torch.arange(len(users), device=users.device)
    scores = factors.of_users(users)
    scores = scores.masked_fill(_seen(place, users, targets, visible), float("-inf"))
    likelihood = F.log_softmax(scores, dim=1)
    return -likelihood[place[targets.user], targets.movie].mean()


def _seen(place: Tensor, users: Tensor, targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Return what each listed user rated and is not asked about, (n_users_listed, n_movies)."""
    seen = torch.zeros(len(users), visible.n_movies, dtype=torch.bool, device=users.device)
    row = place[visible.user]
    listed = row >= 0
    seen[row[listed], visible.movie[listed]] = True
    # without hiding, a target is visible too and must stay a candidate
    seen[place[targets.user], targets.movie] = False
    return seen


def _bpr(factors: Factors, targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., 2009): each target above an unrated movie."""
    order_user, order_movie = targets.user, _unrated(targets, visible)
    better = factors.on_edges(targets)
    worse = (factors.user[order_user] * factors.movie[order_movie]).sum(1)
    worse = worse + factors.user_bias[order_user] + factors.movie_bias[order_movie]
    return -F.logsigmoid(better - worse).mean()


def _unrated(targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Draw a movie per target that its user has not visibly rated, (n_targets,)."""
    taken = visible.user * visible.n_movies + visible.movie  # ascending: edges are sorted
    drawn = torch.randint(visible.n_movies, targets.user.shape, device=targets.user.device)
    for _ in range(NEGATIVE_TRIES):
        key = targets.user * visible.n_movies + drawn
        found = torch.searchsorted(taken, key).clamp(max=max(len(taken) - 1, 0))
        clash = taken[found] == key if len(taken) else torch.zeros_like(key, dtype=torch.bool)
        again = torch.randint(visible.n_movies, drawn.shape, device=drawn.device)
        drawn = torch.where(clash, again, drawn)
    return drawn


_RATING_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}
