"""What several splits hold out alike: nothing in it is known to a version of any of them."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from movierec.data.splits import CommonSpec, SplitSpec, common_split, make_split, recorded_split
from movierec.metadata import RecordedSplit
from movierec.workflows.measure import common_test
from tests.support.factories import make_dataset

DATA = make_dataset(120, 60, 0.5)
SPECS = (
    SplitSpec(seed=0),
    SplitSpec(seed=1, test_fraction=0.4),
    SplitSpec(name="temporal", test_fraction=0.5),
)


def spec_of(*parts: SplitSpec) -> CommonSpec:
    return CommonSpec(versions=[f"v1.{i}.0" for i, _ in enumerate(parts)], parts=parts)


@pytest.mark.parametrize("parts", [SPECS[:2], SPECS[1:], SPECS], ids=str)
def test_a_rating_is_held_out_by_all_or_known(parts):
    splits = [make_split(DATA, part) for part in parts]
    common = common_split(DATA, spec_of(*parts))
    for split in splits:
        assert np.isin(common.test, split.test).all()
        assert np.isin(split.known, common.known).all()
    both = np.concatenate([common.known, common.test])
    assert np.array_equal(np.sort(both), np.arange(DATA.n_ratings))
    assert np.array_equal(common.train, common.known)
    assert len(common.validation) == len(common.support) == 0
    in_all = [p for p in range(DATA.n_ratings) if all(p in set(s.test) for s in splits)]
    assert common.test.tolist() == in_all


def test_what_cold_users_were_told_is_known():
    parts = [SplitSpec(name="cold-users", given=given) for given in (2, 6)]
    common = common_split(DATA, spec_of(*parts))
    for part in parts:
        assert np.isin(make_split(DATA, part).support, common.known).all()
    assert np.array_equal(common.test, make_split(DATA, parts[1]).test)


def test_splits_that_hold_out_nothing_alike_have_an_empty_common_part():
    data = make_dataset(40, 30)
    parts = [SplitSpec(seed=seed, test_fraction=0.05) for seed in range(4)]
    assert len(common_split(data, spec_of(*parts)).test) == 0


def test_versions_of_one_split_are_measured_on_it():
    split = make_split(DATA, SPECS[0])
    again = make_split(DATA, SplitSpec(**SPECS[0].model_dump()))
    # another validation part: how they were trained, not what was held out
    other = make_split(DATA, SPECS[0].model_copy(update={"validation_fraction": 0.3}))
    splits = {"v1.0.0": split, "v1.1.0": again, "v1.2.0": other}
    assert common_test(DATA, splits) is split


def test_a_common_split_is_named_after_its_versions():
    splits = {f"v1.{i}.0": make_split(DATA, spec) for i, spec in enumerate(SPECS)}
    common = common_test(DATA, splits)
    assert common.spec.label == "common to v1.0.0, v1.1.0 and v1.2.0"
    assert (
        common_test(DATA, dict([*splits.items()][:2])).spec.label == "common to v1.0.0 and v1.1.0"
    )


@pytest.mark.parametrize("spec", [*SPECS, spec_of(*SPECS)], ids=lambda spec: spec.name)
def test_a_recorded_split_is_made_again(spec):
    made = common_split(DATA, spec) if isinstance(spec, CommonSpec) else make_split(DATA, spec)
    again = recorded_split(DATA, RecordedSplit(**spec.model_dump(mode="json")))
    assert again.spec == spec
    assert again.sha256 == made.sha256
    assert np.array_equal(again.known, made.known)


@pytest.mark.parametrize(
    "recorded",
    [
        {"name": "common", "versions": ["v1.0.0"], "parts": []},
        {"name": "common", "parts": [{"name": "u1"}] * 2},
        {"name": "rnd"},
        None,
        ["name"],
        {"name": "common", "versions": [], "parts": [{"seed": -1}] * 2},
    ],
)
def test_what_describes_no_split_is_refused(recorded):
    with pytest.raises((ValidationError, TypeError)):
        recorded_split(DATA, RecordedSplit.model_validate(recorded))
