"""What an epoch is worth on the validation part, however many users and movies there are."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import NonFiniteError
from movierec.evaluation import ranking_at_k
from movierec.workflows import validation as validating
from movierec.workflows.validation import Validation, validation_metrics
from tests.support.eval_oracle import TableModel, random_model

SPLIT = SplitSpec(validation_fraction=0.3)


@pytest.fixture
def parts(planted):
    split = make_split(planted, SPLIT)
    train, validation = (planted.ratings.take(part) for part in (split.train, split.validation))
    return {"dataset": planted, "train": train, "validation": validation}


def test_ranks_all_but_the_train_movies(planted, parts):
    model, shape = random_model(planted), (planted.n_users, planted.n_movies)
    found = validation_metrics(model, **parts)
    tables = (parts[name].matrix(*shape) for name in ("train", "validation"))
    whole = ranking_at_k(model.scores, *tables).summary()
    names = ("ndcg", "precision", "recall")
    assert [found[name] for name in names] == [whole[f"{name}_at_10"] for name in names]


@pytest.mark.parametrize("cells", [1, 95])
def test_the_size_of_the_blocks_changes_nothing(planted, parts, monkeypatch, cells):
    model = random_model(planted)
    whole = validation_metrics(model, **parts)
    monkeypatch.setattr(validating, "CELLS_AT_ONCE", cells)
    assert validation_metrics(model, **parts) == whole


def test_where_there_is_no_time_for_all_some_are_ranked_from_everywhere(
    planted, parts, monkeypatch
):
    everybody = Validation.of(**parts).users
    monkeypatch.setattr(validating, "MOST_CELLS", 7 * planted.n_movies)
    some = Validation.of(**parts)
    assert len(some.users) == 7 == some.seen.shape[0]
    assert (some.users[0], some.users[-1]) == (everybody[0], everybody[-1])
    one = Validation.of(**parts).metrics(random_model(planted))
    assert np.isfinite(one["ndcg"])
    asked = []

    class Listener(TableModel):
        def score(self, users):
            asked.extend(users.tolist())
            return super().score(users)

    model = random_model(planted)
    some.metrics(Listener(model.scores, model.predictions))
    assert asked == some.users.tolist()


def test_scores_that_blew_up_end_the_training(planted, parts):
    model = random_model(planted)
    model.scores[parts["validation"].user[0], 3] = np.inf
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        validation_metrics(model, **parts)
