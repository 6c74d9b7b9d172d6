"""Dropout from eight random bits per entry."""

from __future__ import annotations

import pytest
import torch

from movierec.models.graphsage.layers import DROPOUT_LEVELS as LEVELS
from movierec.models.graphsage.layers import dropout

pytestmark = pytest.mark.usefixtures("calm_torch")

MANY = (1000, 1003)  # not a multiple of the eight entries that share a word


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_the_share_is_dropped_and_the_mean_kept(rate):
    found = dropout(torch.ones(MANY), rate, training=True)
    share = round(rate * LEVELS) / LEVELS
    # of a million entries the share is off by at most 0.0005 in two draws of three
    assert (found == 0).double().mean().item() == pytest.approx(share, abs=0.003)
    assert found.double().mean().item() == pytest.approx(1, abs=0.015)
    kept = found[found != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)))


def test_each_place_of_a_word_is_dropped_as_often_and_on_its_own():
    dropped = (dropout(torch.ones(40_000, 8), 0.25, training=True) == 0).double()
    assert (dropped.mean(0) - 0.25).abs().max() < 0.01
    together = dropped.t().corrcoef() - torch.eye(8)
    assert together.abs().max() < 0.03


@pytest.mark.parametrize("shape", [(), (1,), (7,), (8,), (9,), (0, 4), (3, 5, 7)])
def test_any_shape_comes_back_as_it_was(shape):
    x = torch.rand(shape) + 1
    found = dropout(x, 0.5, training=True)
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    assert ((found == 0) | (found == 2 * x)).all()


def test_the_same_seed_drops_the_same():
    x = torch.ones(100, 10)
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        masks.append(dropout(x, 0.3, training=True))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[2], dropout(x, 0.3, training=True))


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True), (0.0, False)])
def test_nothing_is_dropped_in_evaluation_or_without_a_rate(rate, training):
    x, state = torch.randn(50, 10), torch.get_rng_state()
    assert torch.equal(dropout(x, rate, training), x)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gradient_is_the_mask_times_the_scale():
    x = (torch.rand(64, 9) + 1).requires_grad_()
    found = dropout(x, 0.25, training=True)
    weight = torch.randn(64, 9)
    (gradient,) = torch.autograd.grad((weight * found).sum(), x)
    scale = torch.where(found == 0, 0.0, 4 / 3)
    torch.testing.assert_close(gradient, weight * scale)
    assert 0 < (gradient == 0).double().mean() < 1


@pytest.mark.parametrize(("rate", "level"), [(1e-6, 1), (0.9999, LEVELS - 1)])
def test_a_rate_is_rounded_neither_to_nothing_nor_to_everything(rate, level):
    found = dropout(torch.ones(MANY), rate, training=True)
    assert (found == 0).double().mean().item() == pytest.approx(level / LEVELS, abs=0.001)
    assert found.max().item() == pytest.approx(LEVELS / (LEVELS - level))
