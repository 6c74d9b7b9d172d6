"""How good a recommender is: every number of EVALUATION, for any `Recommender`."""

from movierec.evaluation.evaluate import evaluate
from movierec.evaluation.floors import floor_models, floors
from movierec.evaluation.ranking import RankingMetrics, UserRanking, metric_key, ranking_at_k
from movierec.evaluation.ratings import mae, rmse
from movierec.evaluation.result import Evaluation

__all__ = [
    "Evaluation",
    "RankingMetrics",
    "UserRanking",
    "evaluate",
    "floor_models",
    "floors",
    "mae",
    "metric_key",
    "ranking_at_k",
    "rmse",
]
