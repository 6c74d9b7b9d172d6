"""What a step minimises: how far ratings are off, and how badly held-out movies rank.

Letters in shapes: t targets; u users that have one; m movies; d numbers of a vector; s movies that
users have seen, or that were sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from movierec.graph import RatingGraph
from movierec.models.graphsage.heads import Factors, NodeStates
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.models.graphsage.network import GraphSage

__all__ = ["catalogue_softmax", "sampled_softmax", "state_losses", "step_loss"]

NEGATIVE_TRIES = 4

Places = tuple[Tensor, Tensor]  # row and column of each


def step_loss(
    model: GraphSage,
    visible: RatingGraph,
    targets: RatingGraph,
    features: tuple[Tensor, Tensor],
    negatives: NegativeSample | None = None,
) -> dict[str, Tensor]:
    """Return the weighted parts of the loss on `targets`, seen from the graph `visible`.

    The two graphs are different arguments on purpose: what is predicted need not be, and with
    hidden targets is not, among the messages. Where several workers share the graph, a part is
    this worker's share of the loss: the parts of all of them add up to it.
    """
    return state_losses(model, model.encode(visible, *features), visible, targets, negatives)


def state_losses(
    model: GraphSage,
    states: NodeStates,
    visible: RatingGraph,
    targets: RatingGraph,
    negatives: NegativeSample | None = None,
) -> dict[str, Tensor]:
    """Return the parts of `step_loss` from states that the graph `visible` gave."""
    parts: dict[str, Tensor] = {}
    rating, ranking = model.rating_factors(states), model.ranking_factors(states)
    if rating is not None:
        parts["rating"] = _share(_rating_loss, model, rating, targets)
    if ranking is not None:
        weight = 1.0 if model.config.ranks_only else model.config.ranking_weight
        negatives = negatives or NegativeSample.draw(
            visible.by_movie.full_degree, visible.n_users, model.config, torch.default_generator
        )
        loss = partial(_ranking_loss, visible=visible, negatives=negatives)
        parts["ranking"] = weight * _share(loss, model, ranking, negatives.of(targets))
    return parts


def _share(
    loss: Callable[[GraphSage, Factors, RatingGraph], Tensor],
    model: GraphSage,
    factors: Factors,
    targets: RatingGraph,
) -> Tensor:
    """Return these targets' share of the mean over all targets: the mean where they are all."""
    count = factors.user.new_tensor(float(targets.n_edges))
    # all targets: those of every worker where several share the graph
    total = targets.by_movie.total(count).clamp(min=1)
    if not targets.n_edges:  # 0, but with a gradient: every worker must walk the same way back
        return sum((part.sum() * 0.0 for part in vars(factors).values()), total * 0.0)
    return loss(model, factors, targets) * (count / total)


def _rating_loss(model: GraphSage, factors: Factors, targets: RatingGraph) -> Tensor:
    raw, stars = factors.on_edges(targets), targets.rating  # (t,) each
    if model.link is None:
        return _RATING_LOSSES[model.config.loss_type](model.expected_rating(raw), stars)
    sizes = model.sizes
    levels = torch.arange(sizes.n_levels - 1, device=raw.device)
    # (t, n_levels - 1): whether the rating is above each level; half a step guards against rounding
    exceeds = (stars - sizes.rating_low)[:, None] / sizes.rating_step > levels + 0.5
    crossing = F.binary_cross_entropy_with_logits(model.link(raw), exceeds.float())
    error = F.mse_loss(model.expected_rating(raw), stars)
    return error + model.config.ordinal_weight * crossing


def _ranking_loss(
    model: GraphSage,
    factors: Factors,
    targets: RatingGraph,
    visible: RatingGraph,
    negatives: NegativeSample,
) -> Tensor:
    if model.config.loss_type == "bpr":
        return _bpr(factors, targets, visible)
    return _softmax(factors, targets, visible, negatives)


def _softmax(
    factors: Factors, targets: RatingGraph, visible: RatingGraph, negatives: NegativeSample
) -> Tensor:
    """Return the mean negative log-likelihood of each target among its user's unseen movies.

    The softmax runs over the whole catalogue without the movies the user visibly rated, or over
    the sample of it that was drawn.
    """
    if negatives.sample is not None:
        return sampled_softmax(factors, targets, visible, *negatives.sample)
    users, row = _users_of(targets)
    # the users' biases are left out: a constant per row changes no softmax
    vectors = (factors.user[users], factors.movie, factors.movie_bias)
    return catalogue_softmax(*vectors, _seen(users, visible), (row, targets.movie.long()))


def catalogue_softmax(
    user: Tensor, movie: Tensor, movie_bias: Tensor, seen: Places, targets: Places
) -> Tensor:
    """Return the mean over the targets of -log softmax(user @ movie.T + movie_bias)[target].

    A user's seen movies are no candidates, unless they are targets. The gradient is written out:
    softmax minus targets, made in the buffer of the scores. Through autograd's own operations it
    takes several such buffers and twice the time on a CPU (docs/LOG.md).

    Shapes: user: (u, d); movie: (m, d); movie_bias: (m,); seen: (s,) rows and columns; targets:
    (t,) rows and columns; all int64.
    """
    vectors = user.float(), movie.float(), movie_bias.float()
    with _full_precision(user.device.type):
        loss: Tensor = _CatalogueSoftmax.apply(*vectors, *seen, *targets)
    return loss


def _full_precision(device_type: str) -> AbstractContextManager[Any]:
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


class _CatalogueSoftmax(Function):
    """For target t of user row r: loss_t = log sum_j exp(score_rj) - score_rt, j not seen.

    d loss_t / d score_rj = softmax_rj - [j = t]; the mean over t targets weighs each by 1 / t.
    """

    @staticmethod
    def forward(
        ctx: Any, user: Tensor, movie: Tensor, bias: Tensor,
        seen_row: Tensor, seen_column: Tensor, row: Tensor, column: Tensor,
    ) -> Tensor:  # fmt: skip
        scores = torch.addmm(bias, user, movie.t())  # (u, m), the only buffer of this size
        wanted = scores[row, column]  # (t,), kept before the seen movies are struck out
        scores[seen_row, seen_column] = float("-inf")
        scores[row, column] = wanted  # a target that was seen is a candidate all the same
        peak = scores.amax(1, keepdim=True)  # (u, 1): keeps exp() finite, cancels in the ratio
        share = scores.sub_(peak).exp_()  # in place: the softmax before its division by the total
        total = share.sum(1)  # (u,)
        ctx.save_for_backward(user, movie, share, total, row, column)
        return (total.log()[row] + peak[row, 0] - wanted).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        user, movie, share, total, row, column = ctx.saved_tensors
        each = (gradient / len(row)).expand(len(row))  # (t,) the weight of each target
        # (u,): a row's softmax counts once for each of its user's targets
        row_weight = torch.zeros_like(total).index_add_(0, row, each)
        to_scores = share * (row_weight / total)[:, None]  # (u, m)
        to_scores.index_put_((row, column), -each, accumulate=True)
        to_user, to_movie = to_scores @ movie, to_scores.t() @ user  # (u, d), (m, d)
        return to_user, to_movie, to_scores.sum(0), None, None, None, None


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

    Shapes: sample: (s,) int64 movies, repeats allowed; log_count: (s,) log of how often each of
    them is expected in the sample.
    """
    users, row = _users_of(targets)
    # repeats add up: of the m movies those with a weight are the distinct ones of the sample
    weight = torch.zeros_like(factors.movie_bias.detach())  # (m,)
    weight = weight.index_add(0, sample, (-log_count).exp().to(weight.dtype))
    movie = weight.nonzero()[:, 0]  # (distinct,)
    scores = factors.user[users] @ factors.movie[movie].t() + factors.movie_bias[movie]
    # (u, distinct): what a user has seen is no candidate, and the targets are summed up below
    left_out = torch.zeros_like(scores, dtype=torch.bool)
    columns = _columns(movie, factors.movie.shape[0])
    for rows, movies in (_seen(users, visible), (row, targets.movie)):
        column = columns[movies]
        left_out[rows[column >= 0], column[column >= 0]] = True
    # not -inf: a row without any sampled candidate would have no gradient but NaN
    nothing = torch.finfo(scores.dtype).min / 2
    others = (scores + weight[movie].log()).masked_fill(left_out, nothing).logsumexp(1)  # (u,)
    wanted = factors.on_edges(targets) - factors.user_bias[targets.user]  # (t,), as in `scores`
    # (u,): logsumexp of each user's targets, shifted by their largest so that exp() stays finite
    peak = torch.full_like(others, nothing).scatter_reduce(0, row, wanted.detach(), "amax")
    own = torch.zeros_like(others).index_add(0, row, (wanted - peak[row]).exp()).log() + peak
    return (torch.logaddexp(own, others)[row] - wanted).mean()


def _columns(movie: Tensor, n_movies: int) -> Tensor:
    """Return the place of each movie among these, -1 where it is none, (n_movies,)."""
    place = torch.full((n_movies,), -1, device=movie.device)
    place[movie] = torch.arange(len(movie), device=movie.device)
    return place


def _users_of(targets: RatingGraph) -> tuple[Tensor, Tensor]:
    """Return the users with a target, ascending, (u,), and each target's row among them, (t,)."""
    users, row = torch.unique_consecutive(targets.user, return_inverse=True)
    return users, row


def _seen(users: Tensor, visible: RatingGraph) -> Places:
    """Return row and column of what these users, (u,), visibly rated, (s,) both."""
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
    user, movie = targets.user, _unrated(targets, visible)  # (t,): one negative per target
    better = factors.on_edges(targets)
    worse = (factors.user[user] * factors.movie[movie]).sum(1)
    worse = worse + factors.user_bias[user] + factors.movie_bias[movie]
    return -F.logsigmoid(better - worse).mean()


def _unrated(targets: RatingGraph, visible: RatingGraph) -> Tensor:
    """Draw a movie per target that its user has not visibly rated, (t,); nearly always."""
    user, n_movies = targets.user.long(), visible.n_movies
    # a pair of user and movie as one number, ascending as the edges are sorted
    rated = visible.user.long() * n_movies + visible.movie
    drawn = torch.randint(n_movies, user.shape, device=user.device)
    for _ in range(NEGATIVE_TRIES):
        clash = _contains(rated, user * n_movies + drawn)
        again = torch.randint(n_movies, drawn.shape, device=drawn.device)
        drawn = torch.where(clash, again, drawn)
    return drawn


_RATING_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}
