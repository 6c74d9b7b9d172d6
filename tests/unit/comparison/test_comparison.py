"""Kept versions side by side: the numbers of their metadata, tested as one family, in words."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from movierec.comparison.compare import as_csv, as_dict, compare, default_baseline
from movierec.comparison.differences import seed_groups, setting_diffs
from movierec.comparison.evidence import Evidence
from movierec.comparison.metrics import METRICS, PAIRED, values_of
from movierec.comparison.pairs import compare_all, compare_pair
from movierec.comparison.sentences import delta_text, interval_text, sentence_of
from movierec.comparison.slices import error_by_rating, slice_diffs
from movierec.data.splits import SplitSpec
from movierec.errors import EvaluationError
from movierec.evaluation.significance import Difference, Verdict, compare_users
from movierec.store import open_store
from tests.conftest import refuse_user_paths
from tests.support.eval_oracle import TableModel
from tests.support.kept_versions import DATA, Kept, Settings, guess

BAD, FAIR, GOOD, SILENT, APART = "v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0"
SPLIT = SplitSpec(test_fraction=0.4)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept")
    settings = refuse_user_paths(Settings(home=root, device="cpu"), root)
    with open_store(settings) as store:
        project = Kept(settings, store, SPLIT)
        silent = TableModel(guess(noise=0.2).scores)  # ranks, but predicts no stars
        names = [
            project.keep(1.0), project.keep(1.02, seed=1), project.keep(0.2, seed=2),
            project.keep(model=silent), project.keep(split=SplitSpec(seed=1)),
        ]  # fmt: skip
        assert names == [BAD, FAIR, GOOD, SILENT, APART]
        yield project


@pytest.fixture(scope="module")
def all_five(kept: Kept) -> list[Evidence]:
    return kept.evidence(BAD, FAIR, GOOD, SILENT, APART)


def metadata_values(side: Evidence) -> dict[str, float]:
    return values_of(side.record.metadata.evaluation)


def difference(key: str, delta: float, verdict: Verdict) -> Difference:
    return Difference(
        key, 0.5, 0.5 + delta, delta, delta - 0.01, delta + 0.01, 0.1, 0.1, verdict, 9
    )


def test_values_are_those_of_metadata_to_the_digit(all_five):
    bad, _, good, *_ = all_five
    before, after = metadata_values(bad), metadata_values(good)
    pair = compare_pair(bad, good)
    assert [d.metric for d in pair.differences] == [m.key for m in PAIRED]
    for found in pair.differences:
        assert (found.a, found.b) == (before[found.metric], after[found.metric])
        assert found.delta == after[found.metric] - before[found.metric]
        assert found.low <= found.delta <= found.high
    assert pair.deltas["coverage"] == after["coverage"] - before["coverage"]
    assert math.isnan(pair.deltas["nll"])


def test_tests_are_those_of_compare_users(all_five):
    bad, _, good, *_ = all_five
    columns = [metric.column for metric in PAIRED]
    alone = compare_users(bad.per_user, good.per_user, columns)
    pair = compare_pair(bad, good)
    for mine, theirs in zip(pair.differences, alone, strict=True):
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        assert (mine.p_holm, mine.verdict) == (pytest.approx(theirs.p_holm), theirs.verdict)
    assert {d.verdict for d in pair.differences} >= {"better"}


def test_many_are_compared_as_each_alone(all_five):
    bad, *others = all_five
    together = compare_all(bad, others)
    for pair, other in zip(together, others, strict=True):
        alone = compare_pair(bad, other)
        assert pair.sentence == alone.sentence
        assert [d.verdict for d in pair.differences] == [d.verdict for d in alone.differences]
        assert [d.low for d in pair.differences] == pytest.approx(
            [d.low for d in alone.differences]
        )


def test_what_one_of_them_did_not_measure_is_left_out(all_five):
    bad, _, _, silent, _ = all_five
    pair = compare_pair(bad, silent)
    assert {"rmse", "mae"}.isdisjoint(d.metric for d in pair.differences)
    assert len(pair.differences) == len(PAIRED) - 2
    assert math.isnan(pair.deltas["rmse"])
    assert pair.sentence.endswith("; RMSE was not measured for both")
    columns = [metric.column for metric in PAIRED[2:]]
    alone = compare_users(bad.per_user, silent.per_user, columns)
    assert [d.p_holm for d in pair.differences] == pytest.approx([d.p_holm for d in alone])


BETTER, WORSE, SAME = ("better", 0.05), ("worse", -0.05), ("can't tell", 0.001)


@pytest.mark.parametrize(
    ("ranking", "stars", "words"),
    [
        (BETTER, BETTER, "B is better than A at ranking (NDCG@10 +0.050, 95 % interval +0.040 to "
         "+0.060) and on RMSE (−0.0500, 95 % interval −0.0600 to −0.0400)"),
        (BETTER, SAME, "B is better than A at ranking (…) and can't be told apart on RMSE (…)"),
        (BETTER, WORSE, "B is better than A at ranking (…) and worse on RMSE (…)"),
        (WORSE, WORSE, "B is worse than A at ranking (…) and on RMSE (…)"),
        (WORSE, BETTER, "B is worse than A at ranking (…) and better on RMSE (…)"),
        (SAME, SAME, "B can't be told apart from A at ranking (…) and on RMSE (…)"),
        (SAME, BETTER, "B can't be told apart from A at ranking (…) and is better on RMSE (…)"),
        (None, WORSE, "B is worse than A on RMSE (…); NDCG@10 full was not measured for both"),
        (BETTER, None, "B is better than A at ranking (…); RMSE was not measured for both"),
        (None, None, "Neither ranking nor RMSE was measured for both B and A"),
    ],
)  # fmt: skip
def test_verdicts_in_words(ranking, stars, words):
    found = {}
    if ranking:
        found["ndcg_full"] = difference("ndcg_full", ranking[1], ranking[0])
    if stars:
        found["rmse"] = difference("rmse", -stars[1], stars[0])
    said = sentence_of("A", "B", found)
    if "…" in words:
        head, *parts = words.split("(…)")
        assert said.startswith(head)
        for part in parts:
            assert f"){part}" in said
    else:
        assert said == words


def test_numbers_in_words():
    assert delta_text("ndcg_full", 0.0121) == "+0.012"
    assert delta_text("rmse", -0.00128) == "−0.0013"
    assert delta_text("rmse", -0.00001) == "0.0000"
    assert delta_text("rmse", math.nan) == "–"
    assert interval_text("ndcg_full", 0.007, 0.0171) == "+0.007 to +0.017"


def test_groups_agree_with_metadata_to_the_digit(all_five):
    bad, _, good, silent, _ = all_five
    keys = {"rmse": "rmse", "ndcg_full": "ndcg_at_10", "recall_full": "recall_at_10"}
    for other in (good, silent):
        diffs = slice_diffs(bad, other, DATA, resamples=200)
        rows = {side: {(r.slice, r.value): r.as_dict() for r in side.record.metadata.slices}
                for side in (bad, other)}  # fmt: skip
        assert {(d.slice, d.value) for d in diffs} == set(rows[bad])
        for diff in diffs:
            before, after = (rows[side][diff.slice, diff.value] for side in (bad, other))
            assert diff.difference.a == pytest.approx(before[keys[diff.metric]], abs=1e-9)
            assert diff.difference.b == pytest.approx(after[keys[diff.metric]], abs=1e-9)
            assert (diff.users, diff.ratings) == (before["users"], before["ratings"])
    metrics = {d.metric for d in slice_diffs(bad, silent, DATA, resamples=200)}
    assert metrics == {"ndcg_full", "recall_full"}


def test_a_group_is_tested_like_a_comparison_of_its_users_alone(all_five):
    bad, _, good, *_ = all_five
    diffs = slice_diffs(bad, good, DATA)
    (found,) = [d.difference for d in diffs if (d.value, d.metric) == ("F", "ndcg_full")]
    women = DATA.user_frame.index[DATA.user_frame["gender"] == "F"]
    a, b = (side.per_user[side.per_user["user_index"].isin(women)] for side in (bad, good))
    (alone,) = compare_users(a, b, ["full_ndcg_at_10"], resamples=20_000)
    assert (found.a, found.b, found.users) == (
        pytest.approx(alone.a), pytest.approx(alone.b), alone.users,
    )  # fmt: skip
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=0.05)
    assert found.p_holm >= found.p_value


def test_the_order_of_stored_rows_does_not_matter(all_five):
    bad, _, good, *_ = all_five
    mixed = replace(good, per_rating=good.per_rating.sample(frac=1, random_state=1),
                    per_user=good.per_user.sample(frac=1, random_state=1))  # fmt: skip
    assert slice_diffs(bad, mixed, DATA) == slice_diffs(bad, good, DATA)


def test_groups_that_lost_for_sure_come_first(all_five):
    bad, _, good, *_ = all_five
    verdicts = [d.difference.verdict for d in slice_diffs(good, bad, DATA)]
    assert "worse" in verdicts
    assert verdicts == sorted(verdicts, key=["worse", "can't tell", "better"].index)


def test_groups_need_the_frames_of_both(all_five):
    bad, _, good, *_ = all_five
    assert slice_diffs(bad, replace(good, per_rating=None), DATA) == ()
    assert slice_diffs(bad, replace(good, per_rating=good.per_rating.iloc[1:]), DATA) == ()


def test_error_by_true_rating(all_five):
    bad, _, _, silent, _ = all_five
    frame = error_by_rating(bad)
    ratings, errors = bad.per_rating, bad.per_rating["prediction"] - bad.per_rating["rating"]
    assert frame is not None
    assert frame["ratings"].sum() == len(ratings)
    for row in frame.to_dict("records"):
        these = errors[ratings["rating"] == row["level"]]
        assert row["bias"] == pytest.approx(these.mean(), abs=1e-6)
        assert row["rmse"] == pytest.approx(np.sqrt((these**2).mean()), abs=1e-6)
    assert error_by_rating(silent) is None


def test_seeds_of_one_training_are_a_group(kept):
    names = [kept.keep(0.5, seed=seed) for seed in (7, 8, 9, 9)]
    names += [kept.keep(0.5, seed=7, split=SPLIT.model_copy(update={"seed": 1}))]
    names += [kept.keep(0.5, seed=8, hyperparameters={"hidden_dim": 32})]
    names += [kept.keep(0.5, seed=8, members=3)]
    sides = kept.evidence(*names)
    (group,) = seed_groups([side.record for side in sides])
    assert group.versions == tuple(names[:3])  # the fourth repeats the third
    values = [metadata_values(side)["rmse"] for side in sides[:3]]
    assert group.means["rmse"] == pytest.approx(np.mean(values))
    assert group.deviations["rmse"] == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(group.means["nll"])


def test_versions_of_different_splits_that_were_measured_together_are_no_group(kept):
    one, other = (side.record for side in kept.evidence(BAD, FAIR))
    together = [
        replace(
            record,
            metadata=record.metadata.with_facts(
                split={"name": "common"},
                split_test_sha256="0" * 64,
                measured_together={"own_split": {"name": "random", "seed": seed}},
            ),
        )
        for seed, record in enumerate((one, other))
    ]
    assert len(seed_groups([one, other])) == 1
    assert seed_groups(together) == ()
    (split_seed,) = [d for d in setting_diffs(together) if d.name == "split_seed"]
    assert [*split_seed.values.values()] == ["0", "1"]


def test_only_settings_that_differ_are_told(kept):
    more = {"hyperparameters": {"hidden_dim": 32, "dropout": 0.1, "residuals": True}}
    name = kept.keep(seed=3, libraries={"numpy": "2.0", "torch": "2.1"}, device="cuda", **more)
    one, other = (side.record for side in kept.evidence(BAD, name))
    found = {(d.kind, d.name): [*d.values.values()] for d in setting_diffs([one, other])}
    assert found == {
        ("hyperparameter", "hidden_dim"): ["16", "32"],
        ("hyperparameter", "residuals"): ["–", "yes"],
        ("training", "seed"): ["0", "3"],
        ("environment", "device"): ["–", "cuda"],
        ("environment", "torch"): ["–", "2.1"],
    }
    assert setting_diffs([one, one]) == ()


def test_a_whole_comparison(all_five):
    found = compare(all_five, FAIR, DATA, resamples=200)
    assert found.versions == (BAD, FAIR, GOOD, SILENT, APART)
    assert [*found.pairs] == [BAD, GOOD, SILENT, APART]
    assert {o.key for o in found.pairs[APART].obstacles} == {"seed", "parameters"}
    assert APART not in found.slices
    assert found.measured_on.startswith("Measured on 414 held-out ratings of 60 users of planted")
    assert found.values[GOOD] == pytest.approx(metadata_values(all_five[2]), nan_ok=True)
    assert [cost.version for cost in found.costs] == [*found.versions]
    assert (found.costs[0].seconds, found.costs[0].memory_mb) == (1.5, 100.0)
    assert compare(all_five, FAIR, None, resamples=200).slices == {}


def test_exports_say_the_same(all_five):
    found = compare(all_five, BAD, DATA, resamples=200)
    facts = json.loads(json.dumps(as_dict(found), allow_nan=False))
    rows = [*csv.DictReader(io.StringIO(as_csv(found)))]
    assert len(rows) == len(found.versions) * len(METRICS)
    for row in rows:
        value = facts["values"][row["version"]][row["metric"]]
        assert row["value"] == ("" if value is None else repr(value))
        pair = facts["pairs"].get(row["version"])
        if pair is None or not pair["is_comparable"]:
            assert (row["delta"], row["low"], row["verdict"]) == ("", "", "")
            continue
        delta = pair["deltas"][row["metric"]]
        assert row["delta"] == ("" if delta is None else repr(delta))
        tested = [d for d in pair["differences"] if d["metric"] == row["metric"]]
        assert [row["verdict"]] == ([tested[0]["verdict"]] if tested else [""])
        assert row["high"] == (repr(tested[0]["high"]) if tested else "")


def test_the_baseline_nobody_named(all_five):
    records = [side.record for side in all_five]
    assert default_baseline([records[1], replace(records[2], is_current=True)]) == GOOD
    assert default_baseline([records[2], records[1]]) == FAIR  # the oldest


def test_what_cannot_be_asked(all_five):
    with pytest.raises(EvaluationError, match="two versions"):
        compare(all_five[:1], BAD, None)
    with pytest.raises(EvaluationError, match="twice"):
        compare([all_five[0]] * 2, BAD, None)
    with pytest.raises(EvaluationError, match=r"v9\.0\.0 is not among"):
        compare(all_five, "v9.0.0", None)
