"""What a GraphSAGE is: every choice that shapes its weights, with bounds and help texts.

The command line, the pages and the API all read names, bounds, defaults and help from here.
Where it runs (device, threads, folders) is not here: see `training.config`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from movierec.errors import HyperparameterError, validation_message

__all__ = [
    "AGGREGATORS",
    "MOST_SCORES",
    "PRESETS",
    "RANKING_LOSSES",
    "LossType",
    "Residuals",
    "SageHyperparameters",
    "bounds",
    "hyperparameters",
]

Residuals = Literal["none", "taste", "taste+time"]
LossType = Literal["mse", "mae", "huber", "ordinal", "bpr", "softmax"]
RANKING_LOSSES: tuple[LossType, ...] = ("bpr", "softmax")
_SIGNS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
# scores that a step's ranking loss makes at most: 32 MB for each of its few buffers
MOST_SCORES = 2**23
AGGREGATORS = ("max", "mean", "sum", "softmax", "powermean", "std")


class SageHyperparameters(BaseModel):
    """Hyperparameters of a GraphSAGE; the defaults are the preset `report`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hidden_dim: int = Field(64, ge=2, le=1024, description="width of every node state")
    num_layers: int = Field(3, ge=1, le=8, description="how many hops a message travels")
    aggregator: str = Field(
        "max",
        description="how neighbours are summarised: " + ", ".join(AGGREGATORS) + "; several with +",
    )
    messages: Literal["plain", "rating"] = Field(
        "plain",
        description="plain: a neighbour's state; rating: also the state times how much more than "
        "expected the user liked the movie, and the shrunk biases",
    )
    weights: Literal["shared", "per_type"] = Field(
        "shared", description="one set of layer weights for both node types, or one for each"
    )
    feature_layers: int = Field(1, ge=1, le=2, description="layers of the feature MLPs")
    feature_bands: bool = Field(False, description="also give age and year as one-hot bands")
    normalisation: Literal["none", "layer"] = Field(
        "none", description="layer normalisation after each aggregation"
    )
    readout: Literal["last", "all"] = Field(
        "last",
        description="what the heads read: the last layer's state or all of them side by side",
    )
    head: Literal["dot", "projection"] = Field(
        "dot", description="dot: product of the states; projection: learned vectors and biases"
    )
    liking_exponent: float = Field(
        1.0,
        ge=0,
        le=1,
        description="a rating message is divided by the number of ratings to this power; 1: their "
        "mean, less: many ratings speak louder (messages rating)",
    )
    ranking_dim: int = Field(
        0, ge=0, le=4096, description="width of the ranking head's vectors; 0: twice hidden_dim"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of state entries dropped")
    feature_dropout: float = Field(0.0, ge=0, lt=1, description="extra dropout on the features")
    shrinkage: float = Field(5.0, ge=0, le=1000, description="ratings that pull a bias towards 0")

    residuals: Residuals = Field(
        "none",
        description="correct a predicted rating by how the user's own ratings came out: none; "
        "taste, by those of similar movies; taste+time, also by those given near in time, where "
        "the time of the predicted rating is known. Ranking stays as it is",
    )

    loss_type: LossType = Field(
        "mse", description="mse, mae, huber, ordinal: predict ratings; bpr, softmax: rank only"
    )
    ordinal_weight: float = Field(
        1.0, ge=0, le=100, description="weight of the cross-entropy of the cut points (ordinal)"
    )
    ranking_weight: float = Field(
        0.0, ge=0, le=100, description="weight of a softmax ranking loss beside the rating loss"
    )
    sampled_movies: int = Field(
        4096, ge=2, le=1_000_000,
        description="a larger catalogue's softmax runs over this many sampled movies",
    )  # fmt: skip

    optimizer: Literal["adam", "adamw", "muon"] = Field(
        "adam", description="update rule; muon: orthogonalised steps for matrices, adamw elsewhere"
    )
    learning_rate: float = Field(1e-3, gt=0, le=1, description="largest step size")
    schedule: Literal["constant", "one_cycle"] = Field(
        "constant", description="learning rate over the epochs"
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="pull of the weights towards 0")
    gradient_clip: float = Field(
        0.0, ge=0, le=1000, description="largest gradient norm; 0: not clipped"
    )
    batch_size: int = Field(
        512, ge=1, le=10_000_000, description="ratings per step; not used with target_fraction"
    )
    target_fraction: float = Field(
        0.0, ge=0, le=0.9,
        description="share of the train ratings each step hides from the graph and predicts; "
        "0: batches of batch_size, nothing hidden",
    )  # fmt: skip
    graph_ratings: int = Field(
        0, ge=0, le=2_000_000_000,
        description="most ratings in one step's graph; larger data is trained on in parts, random "
        "users with all their ratings. 0: chosen by a cost model",
    )  # fmt: skip
    hiding: Literal["auto", "random", "newcomers", "later"] = Field(
        "random",
        description="what a step hides (target_fraction): random ratings; nearly all of some "
        "users' as well; or what came right after a random moment. auto: newcomers on the split "
        "cold-users, later on temporal, else random",
    )
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="decay of the moving average of the weights that is kept"
    )
    epochs: int = Field(50, ge=1, le=10_000, description="most passes over the train ratings")
    early_stopping_patience: int = Field(
        5, ge=1, le=10_000, description="epochs without improvement before stopping"
    )
    min_delta: float = Field(
        1e-4, ge=0, le=10, description="smallest drop of the validation loss that counts"
    )
    monitor: Literal["val_loss", "val_rmse", "val_ndcg_10"] = Field(
        "val_loss", description="what picks the best epoch"
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
    def heeds_order(self) -> bool:
        """Whether training asks which of two ratings came first."""
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


def bounds(field: FieldInfo) -> str:
    """Return the bounds of a number as "≥ 1, ≤ 8"; empty where there are none."""
    words = []
    for item in field.metadata:
        for name, sign in _SIGNS:
            if getattr(item, name, None) is not None:
                words.append(f"{sign} {getattr(item, name):,}")
    return ", ".join(words)


def _complaint(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if not name:
        return validation_message(item["msg"])
    return f"{name} = {item['input']!r}: {item['msg'][0].lower()}{item['msg'][1:]}"
