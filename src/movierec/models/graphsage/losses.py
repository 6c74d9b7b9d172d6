"""What a step minimises: how far ratings are off, and how badly held-out movies rank."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.graph import RatingGraph
from movierec.models.graphsage.heads import Factors
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.models.graphsage.network import GraphSage, NodeStates
from movierec.models.graphsage.softmax import catalogue_softmax

__all__ = ["sampled_softmax", "state_losses", "step_loss"]

NEGATIVE_TRIES = 4


def step_loss(
    model: GraphSage,
    visible: RatingGraph,
    targets: RatingGraph,
    features: tuple[Tensor, Tensor],
    asked: NegativeSample | None = None,
) -> dict[str, Tensor]:
    """Return the weighted parts of the loss on `targets`, seen from the graph `visible`.

    The two graphs are different arguments on purpose: what is predicted need not be, and with
    hidden targets is not, among the messages. Where several workers share the graph, a part is
    this worker's share of the loss: the parts of all of them add up to it.
    """
    return state_losses(model, model.encode(visible, *features), visible, targets, asked)


def state_losses(
    model: GraphSage,
    states: NodeStates,
    visible: RatingGraph,
    targets: RatingGraph,
    asked: NegativeSample | None = None,
) -> dict[str, Tensor]:
    """Return the parts of `step_loss` from states that the graph `visible` gave."""
    parts: dict[str, Tensor] = {}
    rating, ranking = model.rating_factors(states), model.ranking_factors(states)
    if rating is not None:
        parts["rating"] = _share(_rating_loss, model, rating, targets)
    if ranking is not None:
        weight = 1.0 if model.config.ranks_only else model.config.ranking_weight
        draw = asked or NegativeSample.draw(
            visible.by_movie.full_degree, visible.n_users, model.config, torch.default_generator
        )
        loss = partial(_ranking_loss, visible=visible, asked=draw)
        parts["ranking"] = weight * _share(loss, model, ranking, draw.of(targets))
    return parts


def _share(
    loss: Callable[[GraphSage, Factors, RatingGraph], Tensor],
    model: GraphSage,
    factors: Factors,
    targets: RatingGraph,
) -> Tensor:
    """Return this worker's share of a mean over the targets of all workers."""
    if targets.group.size == 1 and targets.n_edges:
        return loss(model, factors, targets)
    count = factors.user.new_tensor(float(targets.n_edges))
    whole = targets.group.sum(count).clamp(min=1)
    if not targets.n_edges:  # and yet every worker must walk the same way back
        return sum((part.sum() * 0.0 for part in vars(factors).values()), whole * 0.0)
    return loss(model, factors, targets) * (count / whole)


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


def _ranking_loss(
    model: GraphSage,
    factors: Factors,
    targets: RatingGraph,
    visible: RatingGraph,
    asked: NegativeSample,
) -> Tensor:
    if model.config.loss_type == "bpr":
        return _bpr(factors, targets, visible)
    return _softmax(factors, targets, visible, asked)


def _softmax(
    factors: Factors, targets: RatingGraph, visible: RatingGraph, asked: NegativeSample
) -> Tensor:
    """Return the mean negative log-likelihood of each target among its user's unseen movies.

    The softmax runs over the whole catalogue without the movies the user visibly rated, or over
    the sample of it that was drawn.
    """
    if asked.sample is not None:
        return sampled_softmax(factors, targets, visible, *asked.sample)
    users, row = _listed(targets)
    seen = _seen(users, visible)
    vectors = (factors.user[users], factors.movie, factors.movie_bias)
    return catalogue_softmax(*vectors, seen, (row, targets.movie.long()))


def sampled_softmax(
    factors: Factors,
    targets: RatingGraph,
    visible: RatingGraph,
    sample: Tensor,
    log_count: Tensor,
) -> Tensor:
    """Return an estimate of the exact softmax loss from some movies in place of all.

    A user's targets are in the sum as they are. The rest of it is estimated from the sample: a
    movie that is drawn with the expected count c_j adds exp(s_j - log c_j), the log-q correction
    (Bengio and Senecal, Adaptive Importance Sampling, 2008), so that the sum is right in the mean.

    Shapes: sample: (k,) int64 movies, repeats allowed; log_count: (k,) log of how often each of
    them is expected in the sample.
    """
    users, row = _listed(targets)
    weight = torch.zeros_like(factors.movie_bias.detach())
    weight = weight.index_add(0, sample, (-log_count).exp().to(weight.dtype))
    movie = weight.nonzero()[:, 0]
    scores = factors.user[users] @ factors.movie[movie].t() + factors.movie_bias[movie]
    left_out = torch.zeros_like(scores, dtype=torch.bool)
    columns = _columns(movie, factors.movie.shape[0])
    for rows, movies in (_seen(users, visible), (row, targets.movie)):
        column = columns[movies]
        left_out[rows[column >= 0], column[column >= 0]] = True
    # not -inf: a row without any sampled candidate would have no gradient but NaN
    nothing = torch.finfo(scores.dtype).min / 2
    others = (scores + weight[movie].log()).masked_fill(left_out, nothing).logsumexp(1)
    wanted = factors.on_edges(targets) - factors.user_bias[targets.user]
    peak = torch.full_like(others, nothing).scatter_reduce(0, row, wanted.detach(), "amax")
    own = torch.zeros_like(others).index_add(0, row, (wanted - peak[row]).exp()).log() + peak
    return (torch.logaddexp(own, others)[row] - wanted).mean()


def _columns(movie: Tensor, n_movies: int) -> Tensor:
    """Return the place of each movie among these, -1 where it is none, (n_movies,)."""
    place = torch.full((n_movies,), -1, device=movie.device)
    place[movie] = torch.arange(len(movie), device=movie.device)
    return place


def _listed(targets: RatingGraph) -> tuple[Tensor, Tensor]:
    """Return the users with a target, ascending, and the place among them of each target's."""
    users, row = torch.unique_consecutive(targets.user, return_inverse=True)
    return users, row


def _seen(users: Tensor, visible: RatingGraph) -> tuple[Tensor, Tensor]:
    """Return row and column of what each listed user visibly rated, (n_seen,) both."""
    row, edges = visible.edges_of(users)
    return row, visible.movie[edges].long()


def _contains(ascending: Tensor, key: Tensor) -> Tensor:
    """Say which keys are among the ascending ones; of any shape."""
    if not len(ascending):
        return torch.zeros_like(key, dtype=torch.bool)
    found = torch.searchsorted(ascending, key).clamp(max=len(ascending) - 1)
    return ascending[found] == key


def _bpr(factors: Factors, targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., 2009): each target above an unrated movie."""
    order_user, order_movie = targets.user, _unrated(targets, visible)
    better = factors.on_edges(targets)
    worse = (factors.user[order_user] * factors.movie[order_movie]).sum(1)
    worse = worse + factors.user_bias[order_user] + factors.movie_bias[order_movie]
    return -F.logsigmoid(better - worse).mean()


def _unrated(targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Draw a movie per target that its user has not visibly rated, (n_targets,)."""
    user, n_movies = targets.user.long(), visible.n_movies
    taken = visible.user.long() * n_movies + visible.movie  # ascending: edges are sorted
    drawn = torch.randint(n_movies, user.shape, device=user.device)
    for _ in range(NEGATIVE_TRIES):
        clash = _contains(taken, user * n_movies + drawn)
        again = torch.randint(n_movies, drawn.shape, device=drawn.device)
        drawn = torch.where(clash, again, drawn)
    return drawn


_RATING_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}
