"""Muon for the matrices, AdamW for the rest, against the slow and obvious way."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.training.optim import (
    ADAM_RMS,
    MOMENTUM,
    QUINTIC,
    ROUNDS,
    MuonAdamW,
    make_optimizer,
    make_schedule,
    orthogonalised,
)
from tests.support.sage_cases import make_model, small

pytestmark = pytest.mark.usefixtures("calm_torch")

SHAPES = [(8, 40), (40, 8), (12, 12), (2, 3)]
VECTORS = [(5,), (1,), (1, 6), (6, 1), ()]


def weights_of(shapes) -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def copied(weights) -> list[nn.Parameter]:
    return [nn.Parameter(weight.detach().clone()) for weight in weights]


def put_gradients(weights, step: int) -> None:
    noise = torch.Generator().manual_seed(step)
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=noise)


def by_svd(matrix: Tensor) -> Tensor:
    """Bring the singular values near 1 one by one."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    a, b, c = QUINTIC
    s = s / s.square().sum().sqrt()
    for _ in range(ROUNDS):
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ v


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_polynomial_of_the_singular_values(shape):
    matrix = 7 * torch.randn(shape)
    torch.testing.assert_close(
        orthogonalised(matrix).double(), by_svd(matrix), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_singular_values_come_near_one(scale):
    matrix = scale * torch.randn(8, 40)
    found = torch.linalg.svdvals(orthogonalised(matrix))
    # the polynomial's own turning points are 0.68 and 1.20
    assert found.min() > 0.65
    assert found.max() < 1.25


def test_the_directions_stay():
    """A rotated and stretched matrix gives back its rotation: the U V^T of its U S V^T."""
    u, v = (torch.linalg.qr(torch.randn(9, 9))[0] for _ in range(2))
    found = u.t() @ orthogonalised(u * torch.linspace(1, 4, 9) @ v) @ v.t()
    torch.testing.assert_close(found - found.diag().diag(), torch.zeros(9, 9), rtol=0, atol=1e-5)
    assert ((found.diag() > 0.65) & (found.diag() < 1.25)).all()


def test_a_tall_matrix_is_a_wide_one_turned():
    wide = torch.randn(6, 30)
    torch.testing.assert_close(orthogonalised(wide.t()), orthogonalised(wide).t())


def test_nothing_becomes_nothing():
    assert torch.equal(orthogonalised(torch.zeros(4, 7)), torch.zeros(4, 7))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_moves_as_the_rule_says(shape):
    """Nesterov's momentum, orthogonalised and scaled; the weight shrinks by rate times decay."""
    (weight,) = weights = weights_of([shape])
    optimizer = MuonAdamW(weights, lr=0.05, weight_decay=0.3)
    expected, momentum = weight.detach().double(), torch.zeros(shape, dtype=torch.float64)
    for step in range(4):
        put_gradients(weights, step)
        gradient = weight.grad.double()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        expected = expected * (1 - 0.05 * 0.3)
        expected = expected - 0.05 * 0.2 * max(shape) ** 0.5 * by_svd(ahead)
        optimizer.step()
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beside", [[], [(3, 4)]], ids=["alone", "beside a matrix"])
def test_vectors_and_single_rows_move_as_with_adamw(beside):
    left = weights_of(VECTORS)
    right = copied(left)
    muon = MuonAdamW([*weights_of(beside), *left], lr=0.02, weight_decay=0.3)
    adamw = torch.optim.AdamW(right, lr=0.02, weight_decay=0.3)
    for step in range(5):
        for weights, optimizer in ((left, muon), (right, adamw)):
            put_gradients(weights, step)
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16), (64, 80)])
def test_a_step_is_as_large_as_one_of_adamw(shape):
    (weight,) = weights = weights_of([shape])
    before = weight.detach().clone()
    put_gradients(weights, 0)
    MuonAdamW(weights, lr=0.01, weight_decay=0.0).step()
    size = (weight.detach() - before).square().mean().sqrt().item()
    assert size == pytest.approx(0.01 * ADAM_RMS, rel=0.3)


def test_the_size_of_a_gradient_does_not_matter_to_a_matrix():
    left = weights_of([(6, 9)])
    right = copied(left)
    for weights, scale in ((left, 1.0), (right, 1000.0)):
        put_gradients(weights, 0)
        weights[0].grad *= scale
        MuonAdamW(weights, lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(left[0], right[0])


def test_gradients_stay_where_they_are():
    weights = weights_of([*SHAPES, *VECTORS])
    optimizer = MuonAdamW(weights, lr=0.01, weight_decay=0.1)
    put_gradients(weights, 0)
    gradients = [weight.grad for weight in weights]
    values = [gradient.clone() for gradient in gradients]
    optimizer.step()
    for weight, gradient, value in zip(weights, gradients, values, strict=True):
        assert weight.grad is gradient
        assert torch.equal(gradient, value)


def test_a_weight_without_a_gradient_stays():
    weights = weights_of([(3, 4), (5,), (3, 4)])
    optimizer = MuonAdamW(weights, lr=0.01, weight_decay=0.1)
    before = copied(weights)
    put_gradients(weights[:1], 0)
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(weights, before, strict=True)]
    assert moved == [True, False, False]


def test_its_state_goes_on_to_the_bit():
    weights = weights_of([(6, 9), (4,), (9, 6)])
    optimizer = MuonAdamW(weights, lr=0.05, weight_decay=0.1)
    for step in range(3):
        put_gradients(weights, step)
        optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = copied(weights)
    other = MuonAdamW(resumed, lr=0.5, weight_decay=0.0)
    other.load_state_dict(torch.load(file, weights_only=True))
    for step in range(3, 6):
        for each, rule in ((weights, optimizer), (resumed, other)):
            put_gradients(each, step)
            rule.step()
    assert all(torch.equal(a, b) for a, b in zip(weights, resumed, strict=True))


def test_one_cycle_moves_the_rate_of_both_kinds():
    config = small(optimizer="muon", schedule="one_cycle", learning_rate=0.1, normalisation="layer")
    model = make_model(config).model
    optimizer = make_optimizer(model)
    assert isinstance(optimizer, MuonAdamW)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(
        list(model.parameters())
    )
    schedule, rates = make_schedule(optimizer, config, 20), []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert all(matrices == others for matrices, others in rates)
    assert max(rates)[0] == pytest.approx(0.1)
    assert rates[-1][0] < 0.01


def test_it_fits_a_small_problem():
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = MuonAdamW(model.parameters(), lr=0.05, weight_decay=0.0)
    x = torch.randn(64, 6)
    y = torch.sin(x @ torch.randn(6, 3))
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
