"""The ranges a sweep searches unless it is told others."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from movierec.models.baselines import config as baselines
from movierec.models.graphsage.hyperparameters import SageHyperparameters

__all__ = ["SEARCH_RANGES"]

# Where a sweep looks unless it is told. The bounds of a field say what is allowed, these what is
# worth the time: about a factor of three to ten around the defaults and what papers use.
SEARCH_RANGES: Mapping[type[BaseModel], Mapping[str, str]] = {
    SageHyperparameters: {
        "hidden_dim": "24..128:log",
        "num_layers": "1..3",
        "aggregator": "mean,max,mean+max",
        "dropout": "0..0.5",
        "feature_dropout": "0..0.5",
        "shrinkage": "1..30:log",
        "ordinal_weight": "0.3..3:log",
        "ranking_weight": "0.5..10:log",
        "liking_exponent": "0.4..1",
        "ranking_dim": "32..192:log",
        "learning_rate": "0.0005..0.05:log",
        "weight_decay": "0.01..2:log",
        "gradient_clip": "0.5..10:log",
        "batch_size": "256..8192:log",
        "target_fraction": "0.1..0.5",
        "weight_average": "0.9..0.995",
        "epochs": "30..200:log",
    },
    baselines.BiasesHyperparameters: {
        "user_regularization": "1..50:log",
        "movie_regularization": "1..50:log",
    },
    baselines.SVDHyperparameters: {
        "factors": "10..200:log",
        "epochs": "10..80:log",
        "learning_rate": "0.001..0.02:log",
        "regularization": "0.01..0.2:log",
    },
    baselines.NeighboursHyperparameters: {
        "neighbours": "10..120:log",
        "min_neighbours": "1..10",
        "shrinkage": "10..500:log",
    },
    baselines.EASEHyperparameters: {"regularization": "50..2000:log"},
    baselines.ALSHyperparameters: {
        "factors": "16..256:log",
        "epochs": "5..50:log",
        "regularization": "0.01..100:log",
        "confidence": "0.5..40:log",
    },
    baselines.BPRHyperparameters: {
        "factors": "16..256:log",
        "epochs": "20..500:log",
        "learning_rate": "0.001..0.1:log",
        "regularization": "0.001..0.1:log",
    },
    baselines.LightGCNHyperparameters: {
        "factors": "16..256:log",
        "num_layers": "1..4",
        "epochs": "20..200:log",
        "learning_rate": "0.001..0.05:log",
        "regularization": "1e-6..0.001:log",
    },
    baselines.MyFMHyperparameters: {"factors": "4..32:log", "samples": "100..1000:log"},
}
