"""Whole training steps on a GPU that is not there, shape by shape.

Under torch's fake tensors every operator runs its device and shape rules and computes nothing:
a tensor that was left on the CPU is an error, as it would be on the device. What depends on
values (sizes of selections, numbers read back) is answered by `Answers`. Autograd's engine asks
the driver for streams, so the backward pass is traced on torch's `meta` device instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from movierec.csr import CSR
from movierec.graph import RatingGraph
from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.hyperparameters import PRESETS, hyperparameters
from movierec.models.graphsage.losses import step_loss
from movierec.models.graphsage.network import GraphSage
from movierec.training.options import TrainingOptions
from movierec.training.trainer import Trainer
from tests.support.sage_cases import RICH, Made, graph_of, make_model, nothing, small

pytestmark = pytest.mark.usefixtures("calm_torch")

CUDA, META = torch.device("cuda", 0), torch.device("meta")
LEFT_BEHIND = "device|meta"
CASES = {
    **{name: hyperparameters(name, epochs=2) for name in PRESETS},
    **{
        f"{loss}, {head}": small(loss_type=loss, head=head, epochs=1)
        for loss in ("mse", "mae", "huber", "ordinal", "bpr", "softmax")
        for head in ("dot", "projection")
    },
    **{name: small(aggregator=name, epochs=1) for name in AGGREGATORS},
    "rich": small(**{**RICH, "aggregator": "max+mean"}),
    **{name: hyperparameters("default", epochs=1, hiding=name) for name in ("newcomers", "later")},
    "sampled": hyperparameters("default", epochs=1, sampled_movies=8),
    "parts": hyperparameters("default", epochs=1, hiding="random", graph_ratings=60),
    "parts, later": hyperparameters("default", epochs=1, hiding="later", graph_ratings=60),
    "parts, newcomers": hyperparameters("default", epochs=1, hiding="newcomers", graph_ratings=60),
}


class Answers(TorchFunctionMode):
    """Answers what only values could tell: sizes of selections, truth, numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.unique_consecutive:
            return some_of(args[0]), torch.empty_like(args[0])
        if func is Tensor.nonzero:
            return some_of(args[0]).long()[:, None]
        if func is Tensor.repeat_interleave and not kwargs:
            return args[0] + args[1]  # both on one device, or an error
        if func is Tensor.__getitem__ and is_mask(args[1]):
            size = len(args[0]) // 2
            return (args[0] + args[1].to(args[0].dtype))[:size]  # both on one device, or an error
        if func is Tensor.__bool__:
            return True
        if func in (Tensor.item, Tensor.__float__):
            return 1.0
        if func is Tensor.__int__:
            return 1
        if func is Tensor.backward and args[0].device.type == "cuda":
            return None
        return func(*args, **(kwargs or {}))


def some_of(tensor: Tensor) -> Tensor:
    return tensor.new_empty(max(1, len(tensor) // 2))


def is_mask(index: object) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool


@contextmanager
def imagined_gpu(monkeypatch) -> Iterator[Callable[[Tensor], Tensor]]:
    """Pretend that this machine has a CUDA device; yields what takes a tensor's values away."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(GraphSage, "to", move)
    with FakeTensorMode() as mode, Answers():
        yield mode.from_tensor


def move(model: GraphSage, device: torch.device) -> GraphSage:
    """Put new weights in place; `Module.to` changes them in place, which fake ones refuse."""
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            module._parameters[name] = torch.nn.Parameter(weight.detach().to(device))
    return model


def imagined_graph(graph: RatingGraph, empty: Callable[[Tensor], Tensor]) -> RatingGraph:
    def layout(real: CSR) -> CSR:
        return CSR(empty(real.pointer), empty(real.column), real.n_columns)

    edges = (graph.to_movie_order, graph.user, graph.rating, graph.moment)
    return RatingGraph(layout(graph.by_user), layout(graph.by_movie), *map(empty, edges))


def trainer_for(made: Made, graph: RatingGraph, features, device: str) -> Trainer:
    model = GraphSage(made.model.config, made.model.sizes)
    return Trainer(model, graph, None, features, options=TrainingOptions(device=device))


Spoil = Callable[[Trainer], None]


def train_on_cuda(monkeypatch, config, spoil: Spoil = nothing) -> Trainer:
    """Run the real trainer, all but the backward pass; `spoil` may plant a bug before it."""
    made = make_model(config)
    with imagined_gpu(monkeypatch) as empty:
        features = tuple(empty(part) for part in made.features)
        trainer = trainer_for(made, imagined_graph(made.graph, empty), features, "cuda")
        for weight in trainer.model.parameters():
            weight.grad = torch.zeros_like(weight)
        monkeypatch.setattr(trainer.optimizer, "zero_grad", nothing)
        spoil(trainer)
        trainer.fit()
    return trainer


def gradients_on_meta(config, *, features_move: bool = True) -> GraphSage:
    """Do the forward and the backward pass of one step where there are shapes alone."""
    made = make_model(config)
    model, graph, features = made.model.to(META), made.graph.to(META), made.features
    if features_move:
        features = tuple(part.to(META) for part in features)
    edges = torch.arange(graph.n_edges // 2, device=META)
    with Answers():
        visible = graph.without(edges) if config.target_fraction else graph
        parts = step_loss(model.train(), visible, graph.select(edges), features)
        torch.stack(list(parts.values())).sum().backward()
    return model


@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
def test_a_training_stays_on_the_device(monkeypatch, config):
    trainer = train_on_cuda(monkeypatch, config)
    assert trainer.device.type == "cuda"
    assert len(trainer.result.history) == config.epochs
    kept = [*trainer.model.state_dict().values(), *trainer.best_weights.values()]
    assert {tensor.device.type for tensor in kept} == {"cuda"}


@pytest.mark.parametrize("config", CASES.values(), ids=CASES)
def test_the_backward_pass_stays_on_the_device(config):
    for name, weight in gradients_on_meta(config).named_parameters():
        if name.startswith("ranking_head.user_bias"):
            continue  # a constant per user ranks nothing, so a softmax has no gradient for it
        assert weight.grad is not None, name
        assert (weight.grad.shape, weight.grad.device) == (weight.shape, META)


@pytest.mark.parametrize("name", ["report", "default", "bpr, dot", "softmax, projection"])
def test_validation_and_inference_stay_on_the_device(monkeypatch, name):
    made = make_model(CASES[name])
    with imagined_gpu(monkeypatch) as empty, torch.no_grad():
        model = GraphSage(made.model.config, made.model.sizes).to(CUDA).eval()
        graph = imagined_graph(made.graph, empty).to(CUDA)
        held = graph_of(made.dataset, made.validation)
        features = tuple(empty(part).to(CUDA) for part in made.features)
        parts = step_loss(model, graph, imagined_graph(held, empty).to(CUDA), features)
        assert {part.device.type for part in parts.values()} == {"cuda"}


def move_features(trainer: Trainer) -> None:
    trainer.features = (trainer.features[0].cpu(), trainer.features[1])


def give_graph(trainer: Trainer, **parts: Tensor | CSR) -> None:
    trainer.sampler.graph = dataclasses.replace(trainer.graph, **parts)


def move_stars(trainer: Trainer) -> None:
    give_graph(trainer, rating=trainer.graph.rating.cpu())


def move_moment(trainer: Trainer) -> None:
    give_graph(trainer, moment=trainer.graph.moment.cpu())


def move_momentum(trainer: Trainer) -> None:
    weight = trainer.optimizer.matrices[0]
    trainer.optimizer.state[weight]["momentum"] = torch.zeros_like(weight, device="cpu")


def move_pointer(trainer: Trainer) -> None:
    layout = trainer.graph.by_user
    stays = dataclasses.replace(layout, pointer=layout.pointer.cpu())
    give_graph(trainer, by_user=stays)


def move_column(trainer: Trainer) -> None:
    layout = trainer.graph.by_movie
    stays = dataclasses.replace(layout, column=layout.column.cpu())
    give_graph(trainer, by_movie=stays)


SPOILT = [
    (preset, spoil) for preset in PRESETS for spoil in (move_features, move_stars, move_column)
]


# with hidden targets each step makes its own pointers, out of those it is given
@pytest.mark.parametrize(
    ("preset", "spoil"),
    [
        *SPOILT,
        ("report", move_pointer),
        ("newcomers", move_pointer),
        ("newcomers", move_moment),
        ("later", move_moment),
        ("default", move_momentum),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_tensor_left_on_the_cpu_is_caught(monkeypatch, preset, spoil):
    with pytest.raises(RuntimeError, match=LEFT_BEHIND):
        train_on_cuda(monkeypatch, CASES[preset], spoil)


@pytest.mark.parametrize("preset", PRESETS)
def test_features_left_on_the_cpu_are_caught_by_the_backward_trace(preset):
    with pytest.raises((RuntimeError, NotImplementedError), match=LEFT_BEHIND):
        gradients_on_meta(CASES[preset], features_move=False)


def test_the_layers_of_a_cuda_training_run_in_half_precision(monkeypatch):
    """bfloat16 inside the layers, float32 in the weights."""
    seen: set[torch.dtype] = set()

    def watch(trainer: Trainer) -> None:
        layer = trainer.model.user_layers[0].own
        layer.register_forward_hook(lambda *given: seen.add(given[-1].dtype))

    trainer = train_on_cuda(monkeypatch, CASES["report"], watch)
    assert seen == {torch.bfloat16}
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}
