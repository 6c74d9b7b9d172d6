"""What a GraphSAGE is: every choice that shapes its weights, with bounds and help texts.

Command line, pages, API and sweeps read names, bounds, units, ranges and help from here: a new
hyperparameter is a new field, and the code that it changes. Where a training runs (device, seed,
checkpoint) is not here: see `training.options`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from movierec.errors import HyperparameterError
from movierec.models.fields import setting, validation_message
from movierec.models.graphsage.formulas import AGGREGATORS

__all__ = [
    "MOST_SCORES",
    "PRESETS",
    "RANKING_LOSSES",
    "LossType",
    "Residuals",
    "SageHyperparameters",
    "hyperparameters",
]

Residuals = Literal["none", "taste", "taste+time"]
LossType = Literal["mse", "mae", "huber", "ordinal", "bpr", "softmax"]
RANKING_LOSSES: tuple[LossType, ...] = ("bpr", "softmax")
# scores that a step's ranking loss makes at most: 32 MB for each of its few buffers
MOST_SCORES = 2**23


class SageHyperparameters(BaseModel):
    """Hyperparameters of a GraphSAGE; the defaults are the preset `report`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hidden_dim: int = setting(
        64, "width of every node state", ge=2, le=1024, unit="numbers", search="24..128:log"
    )
    num_layers: int = setting(
        3, "how many hops a message travels", ge=1, le=8, unit="hops", search="1..3"
    )
    aggregator: str = setting(
        "max",
        "how neighbours are summarised: " + ", ".join(AGGREGATORS) + "; several with +",
        search="mean,max,mean+max",
    )
    messages: Literal["plain", "rating"] = setting(
        "plain",
        "plain: a neighbour's state; rating: also the state times how much more than "
        "expected the user liked the movie, and the shrunk biases",
    )
    weights: Literal["shared", "per_type"] = setting(
        "shared", "one set of layer weights for both node types, or one for each"
    )
    feature_layers: int = setting(1, "layers of the feature MLPs", ge=1, le=2)
    feature_bands: bool = setting(False, "also give age and year as one-hot bands")
    normalisation: Literal["none", "layer"] = setting(
        "none", "layer normalisation after each aggregation"
    )
    readout: Literal["last", "all"] = setting(
        "last", "what the heads read: the last layer's state or all of them side by side"
    )
    head: Literal["dot", "projection"] = setting(
        "dot", "dot: product of the states; projection: learned vectors and biases"
    )
    liking_exponent: float = setting(
        1.0,
        "a rating message is divided by the number of ratings to this power; 1: their "
        "mean, less: many ratings speak louder (messages rating)",
        ge=0,
        le=1,
        search="0.4..1",
    )
    ranking_dim: int = setting(
        0,
        "width of the ranking head's vectors; 0: twice hidden_dim",
        ge=0,
        le=4096,
        unit="numbers",
        search="32..192:log",
    )
    dropout: float = setting(
        0.1, "share of state entries dropped", ge=0, lt=1, unit="share", search="0..0.5"
    )
    feature_dropout: float = setting(
        0.0, "extra dropout on the features", ge=0, lt=1, unit="share", search="0..0.5"
    )
    shrinkage: float = setting(
        5.0, "ratings that pull a bias towards 0", ge=0, le=1000, unit="ratings", search="1..30:log"
    )

    residuals: Residuals = setting(
        "none",
        "correct a predicted rating by how the user's own ratings came out: none; "
        "taste, by those of similar movies; taste+time, also by those given near in time, where "
        "the time of the predicted rating is known. Ranking stays as it is",
    )

    loss_type: LossType = setting(
        "mse", "mse, mae, huber, ordinal: predict ratings; bpr, softmax: rank only"
    )
    ordinal_weight: float = setting(
        1.0,
        "weight of the cross-entropy of the cut points (ordinal)",
        ge=0,
        le=100,
        search="0.3..3:log",
    )
    ranking_weight: float = setting(
        0.0,
        "weight of a softmax ranking loss beside the rating loss",
        ge=0,
        le=100,
        search="0.5..10:log",
    )
    sampled_movies: int = setting(
        4096,
        "a larger catalogue's softmax runs over this many sampled movies",
        ge=2,
        le=1_000_000,
        unit="movies",
    )

    optimizer: Literal["adam", "adamw", "muon"] = setting(
        "adam", "update rule; muon: orthogonalised steps for matrices, adamw elsewhere"
    )
    learning_rate: float = setting(1e-3, "largest step size", gt=0, le=1, search="0.0005..0.05:log")
    schedule: Literal["constant", "one_cycle"] = setting(
        "constant", "learning rate over the epochs"
    )
    weight_decay: float = setting(
        0.0, "pull of the weights towards 0", ge=0, le=10, search="0.01..2:log"
    )
    gradient_clip: float = setting(
        0.0, "largest gradient norm; 0: not clipped", ge=0, le=1000, search="0.5..10:log"
    )
    batch_size: int = setting(
        512,
        "ratings per step; not used with target_fraction",
        ge=1,
        le=10_000_000,
        unit="ratings",
        search="256..8192:log",
    )
    target_fraction: float = setting(
        0.0,
        "share of the train ratings each step hides from the graph and predicts; "
        "0: batches of batch_size, nothing hidden",
        ge=0,
        le=0.9,
        unit="share",
        search="0.1..0.5",
    )
    graph_ratings: int = setting(
        0,
        "most ratings in one step's graph; larger data is trained on in parts, random "
        "users with all their ratings. 0: chosen by a cost model",
        ge=0,
        le=2_000_000_000,
    )
    hiding: Literal["auto", "random", "newcomers", "later"] = setting(
        "random",
        "what a step hides (target_fraction): random ratings; nearly all of some "
        "users' as well; or what came right after a random moment. auto: newcomers on the split "
        "cold-users, later on temporal, else random",
    )
    weight_average: float = setting(
        0.0,
        "decay of the moving average of the weights that is kept",
        ge=0,
        lt=1,
        search="0.9..0.995",
    )
    epochs: int = setting(
        50,
        "most passes over the train ratings",
        ge=1,
        le=10_000,
        unit="passes",
        search="30..200:log",
    )
    early_stopping_patience: int = setting(
        5, "epochs without improvement before stopping", ge=1, le=10_000, unit="epochs"
    )
    min_delta: float = setting(
        1e-4, "smallest drop of the validation loss that counts", ge=0, le=10, unit="loss"
    )
    monitor: Literal["val_loss", "val_rmse", "val_ndcg_10"] = setting(
        "val_loss", "what picks the best epoch"
    )

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        names = self.aggregators
        unknown = sorted(set(names) - set(AGGREGATORS))
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"aggregator must join different ones of {', '.join(AGGREGATORS)}")
        if not self.target_fraction and self.hiding in ("newcomers", "later"):
            raise ValueError(f"hiding {self.hiding} needs a target_fraction above 0")
        if self.ranks_only and self.ranking_weight:
            raise ValueError(f"loss_type {self.loss_type} already ranks: set ranking_weight to 0")
        if self.ranks_only and self.monitor == "val_rmse":
            raise ValueError(f"loss_type {self.loss_type} predicts no ratings to monitor val_rmse")
        if self.monitor == "val_ndcg_10" and not self.ranks:
            raise ValueError("monitor val_ndcg_10 needs a ranking loss or a ranking_weight above 0")
        return self

    @property
    def aggregators(self) -> tuple[str, ...]:
        """The aggregators one by one."""
        return tuple(self.aggregator.split("+"))

    @property
    def ranks_only(self) -> bool:
        """Whether the loss knows no ratings."""
        return self.loss_type in RANKING_LOSSES

    @property
    def uses_trend(self) -> bool:
        """Whether the model learns to predict what comes after a moment in time."""
        return self.hiding == "later"

    @property
    def uses_order(self) -> bool:
        """Whether training uses which of two ratings came first."""
        return self.hiding in ("later", "newcomers")

    @property
    def ranks(self) -> bool:
        """Whether the model has a head of its own for ranking."""
        return self.ranks_only or self.ranking_weight > 0


PRESETS: dict[str, dict[str, Any]] = {
    # the model of the first report
    "report": {},
    # chosen on validation alone: docs/LOG.md
    "default": {
        "hidden_dim": 80,
        "num_layers": 2,
        "aggregator": "mean",
        "messages": "rating",
        "weights": "per_type",
        "feature_layers": 2,
        "feature_bands": True,
        "normalisation": "layer",
        "readout": "all",
        "head": "projection",
        "dropout": 0.2,
        "feature_dropout": 0.2,
        "loss_type": "ordinal",
        "liking_exponent": 0.8,
        "ranking_dim": 80,
        "ranking_weight": 4.0,
        "residuals": "taste+time",
        "optimizer": "muon",
        "learning_rate": 0.01,
        "schedule": "one_cycle",
        "weight_decay": 0.3,
        "target_fraction": 0.2,
        "hiding": "auto",
        "weight_average": 0.98,
        "epochs": 64,
        "early_stopping_patience": 20,
        "min_delta": 0.0,
        "monitor": "val_rmse",
    },
}


def hyperparameters(preset: str = "default", **changes: Any) -> SageHyperparameters:
    """Return a preset with some values changed.

    Raises:
        HyperparameterError: the preset or a name is unknown, a value is out of bounds, or two
            contradict each other; the message lists each.

    """
    if preset not in PRESETS:
        raise HyperparameterError(
            f"There is no preset {preset!r}.", hint=f"Use one of {', '.join(PRESETS)}."
        )
    try:
        return SageHyperparameters(**{**PRESETS[preset], **changes})
    except ValidationError as error:
        raise HyperparameterError(
            "; ".join(_complaint(item) for item in error.errors(include_url=False)) + ".",
            hint="`movierec train --help` lists every hyperparameter with its bounds.",
        ) from error


def _complaint(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if not name:
        return validation_message(item["msg"])
    return f"{name} = {item['input']!r}: {item['msg'][0].lower()}{item['msg'][1:]}"
