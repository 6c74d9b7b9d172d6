"""How good a recommender is: every number of EVALUATION, for any `Recommender`."""

from movierec.evaluation.evaluate import evaluate, reference_baselines, reference_models
from movierec.evaluation.ranking import RankingMetrics, UserRanking, metric_key, ranking_at_k
from movierec.evaluation.ratings import mae, rmse
from movierec.evaluation.result import Evaluation

__all__ = [
    "Evaluation",
    "RankingMetrics",
    "UserRanking",
    "evaluate",
    "mae",
    "metric_key",
    "ranking_at_k",
    "reference_baselines",
    "reference_models",
    "rmse",
]
