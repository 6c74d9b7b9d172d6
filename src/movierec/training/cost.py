"""What a step costs, and from that whether a graph is trained on whole or in parts.

A step's time is about proportional to

    ratings + NODE · movies · (hidden_dim / 64) + RANKING

in units of one rating's messages through all layers: the sparse products and what goes with them
run over ratings, the dense layers over nodes, the ranking loss over a fixed number of scores. A
larger part costs less per rating and gives fewer steps per pass; at the size where the ratings
take as long as everything else, a pass takes twice what it would on the whole graph at most.
The numbers are round ones, from steps timed on two cores; docs/SCALE.md has the cost in detail.
"""

from __future__ import annotations

from movierec.models.graphsage.hyperparameters import SageHyperparameters

__all__ = ["NODE", "graph_ratings"]

NODE = 15.0  # ratings whose messages take as long as one movie's layers
RANKING = 1_000_000.0  # ratings whose messages take as long as the ranking loss
FEWEST = 1_000_000  # ratings in a part, so that most movies are heard by some of their raters
WHOLE = 1.5  # up to so many parts, the whole graph


def graph_ratings(config: SageHyperparameters, n_movies: int, n_ratings: int) -> int:
    """Return the most ratings that a step's graph should have; 0: the whole graph in every step.

    What the hyperparameters say; where they say 0, the size at which a step's ratings take as
    long as the rest of it, unless the whole graph is hardly larger.
    """
    if config.graph_ratings:
        return config.graph_ratings
    rest = NODE * n_movies * config.hidden_dim / 64 + (RANKING if config.ranks else 0)
    part = max(FEWEST, round(rest, -5))
    return 0 if n_ratings <= WHOLE * part else int(part)
