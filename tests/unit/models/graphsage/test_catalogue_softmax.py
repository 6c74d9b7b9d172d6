"""The softmax in one buffer, and its hand-written gradient, against autograd's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from movierec.models.graphsage.losses import _CatalogueSoftmax, catalogue_softmax

pytestmark = pytest.mark.usefixtures("calm_torch")

Places = tuple[Tensor, Tensor]
N_USERS, N_MOVIES, WIDTH = 6, 11, 4


def places() -> tuple[Places, Places]:
    """Draw what is seen and what is asked for; some of it is both.

    User 0 has seen all but its one target, user 1 all but another movie than its target, and
    user 2 has no target.
    """
    seen = torch.rand(N_USERS, N_MOVIES) < 0.5
    targets = torch.rand(N_USERS, N_MOVIES) < 0.3
    seen[:2] = True
    seen[2:, 0] = False
    targets[:3] = False
    seen[3:, 1] = targets[3:, 1] = True
    seen[0, 4], targets[0, 4] = False, True
    seen[1, 4], targets[1, 5] = False, True
    return seen.nonzero(as_tuple=True), targets.nonzero(as_tuple=True)


def vectors(dtype: torch.dtype = torch.float32, scale: float = 1.0) -> list[Tensor]:
    shapes = (N_USERS, WIDTH), (N_MOVIES, WIDTH), (N_MOVIES,)
    return [(scale * torch.randn(shape)).to(dtype).requires_grad_() for shape in shapes]


def by_autograd(user: Tensor, movie: Tensor, bias: Tensor, seen: Places, targets: Places) -> Tensor:
    closed = torch.zeros(N_USERS, N_MOVIES, dtype=torch.bool)
    closed[seen] = True
    closed[targets] = False
    scores = (user @ movie.t() + bias).masked_fill(closed, float("-inf"))
    return -scores.log_softmax(1)[targets].mean()


def in_double(user: Tensor, movie: Tensor, bias: Tensor, seen: Places, targets: Places) -> Tensor:
    return _CatalogueSoftmax.apply(user, movie, bias, *seen, *targets)


def found(formula, given: list[Tensor], seen: Places, targets: Places) -> list[Tensor]:
    """Return the value and the three gradients; the factor 3 stands for a loss's weight."""
    loss = formula(*given, seen, targets)
    return [loss.detach(), *torch.autograd.grad(3 * loss, given)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("formula", "dtype", "error"),
    [(catalogue_softmax, torch.float32, 1e-6), (in_double, torch.float64, 1e-12)],
    ids=["float", "double"],
)
def test_value_and_gradients_are_autograd_s(seed, formula, dtype, error):
    torch.manual_seed(seed)
    case, given = places(), vectors(dtype)
    expected = found(
        by_autograd, [part.detach().double().requires_grad_() for part in given], *case
    )
    for left, right in zip(found(formula, given, *case), expected, strict=True):
        torch.testing.assert_close(left.double(), right, rtol=error, atol=error)
        assert left.dtype == dtype


def test_the_gradient_is_the_slope():
    seen, targets = places()
    torch.autograd.gradcheck(
        lambda *given: in_double(*given, seen, targets), vectors(torch.float64), eps=1e-6, atol=1e-6
    )


def test_users_without_a_choice_or_a_target_pull_at_nothing():
    seen, targets = places()
    user = found(catalogue_softmax, vectors(), seen, targets)[1]
    assert user[0].abs().max() < 1e-6
    assert user[2].abs().max() == 0
    assert (user[[1, 3, 4, 5]].abs().amax(1) > 1e-3).all()


def test_scores_beyond_what_exp_can_hold_stay_finite():
    case, given = places(), vectors(scale=30.0)
    assert (given[0] @ given[1].t()).max() > 100
    double = [part.detach().double().requires_grad_() for part in given]
    pairs = zip(
        found(catalogue_softmax, given, *case), found(by_autograd, double, *case), strict=True
    )
    for left, right in pairs:
        torch.testing.assert_close(left.double(), right, rtol=1e-4, atol=1e-3)


def test_mixed_precision_leaves_it_in_float32():
    case, given = places(), vectors()
    expected = found(catalogue_softmax, given, *case)
    with torch.autocast("cpu", torch.bfloat16):
        assert (given[0] @ given[1].t()).dtype == torch.bfloat16
        loss = catalogue_softmax(*given, *case)
    for left, right in zip(
        [loss.detach(), *torch.autograd.grad(3 * loss, given)], expected, strict=True
    ):
        assert left.dtype == torch.float32
        assert torch.equal(left, right)


def test_half_precision_vectors_are_summed_in_float32():
    case, given = places(), vectors(torch.bfloat16)
    wide = [part.detach().float().requires_grad_() for part in given]
    left, right = found(catalogue_softmax, given, *case), found(catalogue_softmax, wide, *case)
    assert torch.equal(left[0], right[0])
    for half, full in zip(left[1:], right[1:], strict=True):
        assert torch.equal(half, full.bfloat16())
