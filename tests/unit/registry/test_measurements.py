"""Measurements on disk: whole or not there, of these versions and of no others."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import ArtifactError
from movierec.evaluation import Evaluation, evaluate
from movierec.evaluation.evaluate import ReferenceBaseline
from movierec.metadata import VersionMetadata
from movierec.registry.measurements import FOLDER, Measurement, Measurements, TestSet, identity
from movierec.store import VersionRecord
from tests.support.crash import killed_at
from tests.support.factories import make_dataset

DATA = make_dataset(30, 20)
SPLIT = make_split(DATA, SplitSpec())
GROUND = TestSet(
    dataset_name="planted", fingerprint=DATA.fingerprint, split=SPLIT.spec.model_dump(),
    split_label=SPLIT.spec.label, test_sha256=SPLIT.sha256, n_ratings=len(SPLIT.test), n_users=9,
    floors={"constant": {"rmse": 1.0}}, caveats=["A sentence."],
)  # fmt: skip


def version(minor: int, **facts: object) -> VersionRecord:
    return VersionRecord(
        name=f"v1.{minor}.0", model="popular", preset="popular", dataset_name="planted",
        fingerprint=DATA.fingerprint, split_label=SPLIT.spec.label,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), is_current=False, run_id=None, size_bytes=1,
        parameters=0, 
        metadata=VersionMetadata.of({"model_version": f"v1.{minor}.0", "files": {}, **facts}),
    )  # fmt: skip


A, B, C = version(0), version(1), version(2)


def measured(stars: float) -> Evaluation:
    """What a model that predicts these stars for everything comes to."""
    size = (DATA.n_users, DATA.n_movies)
    model = ReferenceBaseline(
        *size, stars, lambda users: np.zeros((len(users), size[1]), np.float32)
    )
    return evaluate(model, DATA, SPLIT)


def saved(models: Path, *records: VersionRecord) -> Measurement:
    found = ((record.name, measured(3.0 + place)) for place, record in enumerate(records))
    return Measurements(models).save(records, GROUND, found)


def left(models: Path) -> list[str]:
    return sorted(path.name for path in (models / FOLDER).glob("*") if path.name != ".lock")


def test_what_is_kept_is_what_was_found(tmp_path):
    saved(tmp_path, A, B)
    found = Measurements(tmp_path).find([A, B])
    assert found is not None
    assert found.ground == GROUND
    assert [*found.versions] == ["v1.0.0", "v1.1.0"]
    assert found.problems() == []
    for place, name in enumerate(found.versions):
        expected = measured(3.0 + place)
        assert found.versions[name].evaluation == expected.as_dict()
        assert found.versions[name].slices == expected.slice_rows()
        pd.testing.assert_frame_equal(found.frame(name, "per_user"), expected.per_user)
        pd.testing.assert_frame_equal(found.frame(name, "per_rating"), expected.per_rating)


def test_nothing_is_found_where_nothing_was_measured(tmp_path):
    assert Measurements(tmp_path).find([A, B]) is None
    assert Measurements(tmp_path).list() == []
    assert Measurements(tmp_path).forget([]) == []


def test_the_order_of_the_versions_does_not_matter(tmp_path):
    kept = saved(tmp_path, A, B)
    assert Measurements(tmp_path).get([B, A]).key == kept.key


def test_a_version_that_came_back_as_another_meets_no_old_measurement(tmp_path):
    saved(tmp_path, A, B)
    other = version(0, seed=7)
    assert identity(other) != identity(A)
    assert Measurements(tmp_path).find([other, B]) is None
    assert Measurements(tmp_path).get([other, B]) is None


def test_a_wider_measurement_serves_where_there_is_no_own_one(tmp_path):
    wide = saved(tmp_path, A, B, C)
    kept = Measurements(tmp_path)
    assert kept.get([A, C]) is None
    assert kept.find([C, A]).key == wide.key
    assert kept.find([A, version(2, seed=7)]) is None
    own = saved(tmp_path, A, C)
    assert kept.find([C, A]).key == own.key


def test_measured_again_replaces(tmp_path):
    first = saved(tmp_path, A, B)
    again = Measurements(tmp_path).save(
        [A, B], GROUND, [(record.name, measured(1.0)) for record in (A, B)]
    )
    assert (again.key, left(tmp_path)) == (first.key, [first.key])
    (found,) = Measurements(tmp_path).list()
    assert found.versions["v1.1.0"].evaluation["rmse"] == measured(1.0).rmse


def test_one_evaluation_is_in_memory_at_a_time(tmp_path):
    """The next one is asked for when the one before is on the disk."""
    written = []

    def one_by_one():
        for record in (A, B):
            written.append(len([*tmp_path.rglob("*.parquet")]))
            yield record.name, measured(3.0)

    Measurements(tmp_path).save([A, B], GROUND, one_by_one())
    assert written == [0, 2]


@pytest.mark.parametrize("frame", ["per_user", "per_rating"])
def test_a_changed_frame_is_refused(tmp_path, frame):
    found = saved(tmp_path, A, B)
    path = found.folder / "v1.1.0" / f"{frame}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match=f"{frame}.parquet of v1.1.0 was changed"):
        found.frame("v1.1.0", frame)
    assert found.problems() == [f"{frame}.parquet of v1.1.0 is missing or was changed."]
    path.unlink()
    with pytest.raises(ArtifactError, match="is missing"):
        found.frame("v1.1.0", frame)
    assert not found.frame("v1.0.0", frame).empty


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _say_more(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("damage", [_cut, _say_more, _link, Path.unlink])
def test_a_damaged_measurement_is_none(tmp_path, damage):
    found = saved(tmp_path, A, B)
    damage(found.folder / "measurement.json")
    kept = Measurements(tmp_path)
    assert (kept.find([A, B]), kept.list()) == (None, [])
    assert saved(tmp_path, A, B).problems() == []
    assert len(kept.list()) == 1


def test_measurements_of_deleted_versions_are_forgotten(tmp_path):
    kept = Measurements(tmp_path)
    saved(tmp_path, A, B)
    other = saved(tmp_path, A, C)
    assert kept.forget(["v1.0.0", "v1.1.0", "v1.2.0"]) == []
    assert kept.forget(["v1.0.0", "v1.2.0"]) == [
        "Removed a measurement of v1.1.0, which is deleted."
    ]
    assert left(tmp_path) == [other.key]
    assert kept.find([A, B]) is None


def test_what_was_measured_of_one_version_is_dropped(tmp_path):
    saved(tmp_path, A, B)
    other = saved(tmp_path, A, C)
    Measurements(tmp_path).drop("v1.1.0")
    assert left(tmp_path) == [other.key]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / FOLDER).write_text("a file is in the way")
    with pytest.raises(ArtifactError, match=r"\.measurements cannot be written"):
        saved(tmp_path, A, B)


def test_a_failure_between_two_versions_leaves_nothing(tmp_path):
    def failing():
        yield A.name, measured(3.0)
        raise ArtifactError("v1.1.0 is damaged.")

    with pytest.raises(ArtifactError, match="damaged"):
        Measurements(tmp_path).save([A, B], GROUND, failing())
    assert left(tmp_path) == []


def keep(models: Path) -> None:
    saved(models, A, B)


def test_killed_anywhere_it_is_whole_or_not_there(tmp_path):
    kept, step, seen = Measurements(tmp_path), 0, set()
    was_killed = True
    while was_killed:
        step += 1
        was_killed = killed_at(step, keep, tmp_path)
        found = kept.find([A, B])
        seen.add(found is not None)
        assert found is None or found.problems() == []
        kept.forget([A.name, B.name])
        assert left(tmp_path) == ([found.key] if found else [])
        if found is not None and was_killed:
            kept.forget([])
    assert step > 10
    assert seen == {False, True}


def test_values_that_were_not_measured_are_null(tmp_path):
    found = saved(tmp_path, A, B)
    assert math.isnan(measured(math.nan).rmse)
    text = (found.folder / "measurement.json").read_text()
    assert "NaN" not in text
