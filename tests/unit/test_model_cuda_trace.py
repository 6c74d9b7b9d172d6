"""Whole training steps on CUDA tensors without a GPU, shape by shape.

Under torch's fake tensors every operator runs its device and shape rules and computes nothing:
a tensor that was left on the CPU is an error, as it would be on the device. What depends on
values (sizes of selections, numbers read back) is answered by `Answers`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from movierec.graph import Layout, RatingGraph
from movierec.models.hyperparameters import AGGREGATORS, PRESETS, hyperparameters
from movierec.models.losses import step_loss
from movierec.models.sage import GraphSage
from movierec.training.config import Circumstances
from movierec.training.trainer import Trainer
from tests.sage_cases import RICH, Made, graph_of, make_model, small

pytestmark = pytest.mark.usefixtures("calm_torch")

CUDA = torch.device("cuda", 0)
LEFT_BEHIND = r"device|cuda"
CASES = {
    **{name: hyperparameters(name, epochs=2) for name in PRESETS},
    **{
        f"{loss}, {head}": small(loss_type=loss, head=head, epochs=1)
        for loss in ("mse", "mae", "huber", "ordinal", "bpr", "softmax")
        for head in ("dot", "projection")
    },
    **{name: small(aggregator=name, epochs=1) for name in AGGREGATORS},
    "rich": small(**{**RICH, "aggregator": "max+mean"}),
}


class Answers(TorchFunctionMode):
    """Answers what only values could tell: sizes of selections, truth, numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.unique_consecutive:
            return args[0].new_empty(max(1, len(args[0]) // 2))
        if func is Tensor.__getitem__ and is_mask(args[1]):
            size = len(args[0]) // 2
            return (args[0] + args[1].to(args[0].dtype))[:size]  # both on one device, or an error
        if func is Tensor.__bool__:
            return True
        if func in (Tensor.item, Tensor.__float__):
            return 1.0
        return func(*args, **(kwargs or {}))


def is_mask(index: object) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool


@contextmanager
def imagined_gpu(monkeypatch) -> Iterator[FakeTensorMode]:
    """Pretend that this machine has one CUDA device; tensors have no values."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(GraphSage, "to", move)
    with FakeTensorMode() as mode, Answers():
        yield mode


def move(model: GraphSage, device: torch.device) -> GraphSage:
    """Put new weights in place; `Module.to` changes them in place, which fake ones refuse."""
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            module._parameters[name] = torch.nn.Parameter(weight.detach().to(device))
    return model


def imagined(made: Made, mode: FakeTensorMode):
    """Return the model, the graph and the features without values, on the CPU."""
    features = tuple(mode.from_tensor(part) for part in made.features)
    model = GraphSage(made.model.config, made.model.sizes)
    return model, imagined_graph(made.graph, mode), features


def imagined_graph(graph: RatingGraph, mode: FakeTensorMode) -> RatingGraph:
    def layout(real: Layout) -> Layout:
        pointer, column = mode.from_tensor(real.pointer), mode.from_tensor(real.column)
        return Layout(pointer, column, real.n_columns)

    return RatingGraph(
        layout(graph.by_user),
        layout(graph.by_movie),
        *(mode.from_tensor(t) for t in (graph.to_movie_order, graph.user, graph.rating)),
    )


def train(monkeypatch, config, *, spoil=lambda trainer: None) -> tuple[Trainer, list[str]]:
    """Train through the real trainer; `spoil` may plant a bug before the first step."""
    made = make_model(config)
    with imagined_gpu(monkeypatch) as mode:
        model, graph, features = imagined(made, mode)
        trainer = Trainer(
            model, graph, None, features, circumstances=Circumstances(device="cuda")
        )
        spoil(trainer)
        trainer.fit()
        gradients = [w.grad.device.type for w in model.parameters() if w.grad is not None]
    return trainer, gradients


@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
def test_a_training_stays_on_the_device(monkeypatch, config):
    trainer, gradients = train(monkeypatch, config)
    assert str(trainer.device) == "cuda"
    assert len(trainer.result.history) == config.epochs
    assert gradients
    kept = [*trainer.model.state_dict().values(), *trainer.best_weights.values()]
    assert {tensor.device.type for tensor in kept} | set(gradients) == {"cuda"}


@pytest.mark.parametrize("name", ["report", "default", "bpr, dot", "softmax, projection"])
def test_validation_and_inference_stay_on_the_device(monkeypatch, name):
    made = make_model(CASES[name])
    with imagined_gpu(monkeypatch) as mode, torch.no_grad():
        model, graph, features = imagined(made, mode)
        validation = imagined_graph(graph_of(made.dataset, made.validation), mode).to(CUDA)
        features = tuple(part.to(CUDA) for part in features)
        parts = step_loss(model.to(CUDA).eval(), graph.to(CUDA), validation, features)
        assert {part.device.type for part in parts.values()} == {"cuda"}


def move_features(trainer: Trainer) -> None:
    trainer.features = (trainer.features[0].cpu(), trainer.features[1])


def move_stars(trainer: Trainer) -> None:
    trainer.graph = dataclasses.replace(trainer.graph, rating=trainer.graph.rating.cpu())


def move_pointer(trainer: Trainer) -> None:
    layout = trainer.graph.by_user
    stays = dataclasses.replace(layout, pointer=layout.pointer.cpu())
    trainer.graph = dataclasses.replace(trainer.graph, by_user=stays)


def move_column(trainer: Trainer) -> None:
    layout = trainer.graph.by_movie
    stays = dataclasses.replace(layout, column=layout.column.cpu())
    trainer.graph = dataclasses.replace(trainer.graph, by_movie=stays)


def move_average(trainer: Trainer) -> None:
    trainer.average._mean[0] = trainer.average._mean[0].cpu()


@pytest.mark.parametrize(
    ("preset", "spoil"),
    [
        ("report", move_features),
        ("report", move_stars),
        ("report", move_pointer),
        ("report", move_column),
        ("default", move_features),
        ("default", move_stars),
        ("default", move_column),
        ("default", move_average),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_tensor_left_on_the_cpu_is_caught(monkeypatch, preset, spoil):
    with pytest.raises(RuntimeError, match=LEFT_BEHIND):
        train(monkeypatch, CASES[preset], spoil=spoil)


def test_the_layers_of_a_cuda_training_run_in_half_precision(monkeypatch):
    """bfloat16 inside the layers, float32 in the sparse products and the loss."""
    seen: set[tuple[str, torch.dtype]] = set()

    def spoil(trainer: Trainer) -> None:
        trainer.model.user_layers[0].own.register_forward_hook(
            lambda module, inputs, output: seen.add(("layer", output.dtype))
        )

    trainer, _ = train(monkeypatch, CASES["report"], spoil=spoil)
    assert seen == {("layer", torch.bfloat16)}
    assert {w.dtype for w in trainer.model.parameters()} == {torch.float32}


def test_the_imagined_graph_has_the_real_one_s_shape():
    made = make_model(small())
    graph = imagined_graph(made.graph, FakeTensorMode())
    assert graph.n_edges == made.graph.n_edges
    assert (graph.n_users, graph.n_movies) == (made.dataset.n_users, made.dataset.n_movies)
