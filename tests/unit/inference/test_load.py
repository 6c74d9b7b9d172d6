"""From a saved version to an answer, through a real database and real files."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.errors import ArtifactError, NotFoundError
from movierec.inference import load_version
from movierec.inference.load import bring_back
from movierec.metadata import VersionMetadata
from movierec.models.factory import make_baseline
from movierec.models.protocol import Recommender
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from tests.support.factories import make_dataset


def split_of(dataset: Dataset) -> Split:
    return make_split(dataset, SplitSpec(name="random", seed=7))


def fitted(dataset: Dataset) -> Recommender:
    train = dataset.ratings.take(split_of(dataset).train)
    return make_baseline("svd", {"factors": 4}).fit(dataset, train, seed=1)


def save(dataset: Dataset, settings: Settings, **changes: object) -> VersionRecord:
    """Keep the data set and a version of it as the product does."""
    split = split_of(dataset)
    metadata = {
        "split": split.spec.model_dump(),
        "split_test_sha256": split.sha256,
    }
    draft = VersionDraft(
        model="svd",
        preset="svd",
        dataset_name=dataset.name,
        fingerprint=dataset.fingerprint,
        split_label=split.spec.label,
        metadata=VersionMetadata.of(metadata),
        arrays=fitted(dataset).arrays(),
    )
    with open_store(settings) as store:
        if store.datasets.find(dataset.fingerprint) is None:
            store.datasets.add(dataset, {})
        return Registry(settings, store).save(dataclasses.replace(draft, **changes))


def test_the_current_version_answers_like_the_fitted_model(planted, settings):
    record = save(planted, settings)
    loaded = load_version(settings=settings)
    users = np.arange(planted.n_users)
    np.testing.assert_array_equal(loaded.recommender.score(users), fitted(planted).score(users))
    assert (loaded.name, loaded.metadata.model) == (record.name, "svd")
    assert len(loaded.known) == len(split_of(planted).known)
    assert loaded.recommend("u5")[0].reason == "known"


def test_no_test_rating_is_known(planted, settings):
    save(planted, settings)
    known = load_version(settings=settings).known
    test = planted.ratings.take(split_of(planted).test)
    told = set(zip(known.user.tolist(), known.movie.tolist(), strict=True))
    assert told.isdisjoint(zip(test.user.tolist(), test.movie.tolist(), strict=True))
    assert len(told) + len(test) == planted.n_ratings


def test_new_users_of_the_split_are_told_about_as_in_the_evaluation(planted, settings):
    split = make_split(planted, SplitSpec(name="cold-users", given=2))
    learn = planted.ratings.take(np.concatenate([split.train, split.validation]))
    model = make_baseline("ease").fit(planted, learn, seed=1)
    metadata = {"split": split.spec.model_dump(), "split_test_sha256": split.sha256}
    told = model.with_interactions(planted.ratings.take(split.support))
    save(
        planted, settings, model="ease", metadata=VersionMetadata.of(metadata), arrays=told.arrays()
    )
    newcomer = planted.ratings.user[split.support[0]]
    assert not model.score(np.array([newcomer])).any()
    lines = load_version(settings=settings).recommend(f"u{newcomer}")
    assert {line.reason for line in lines} == {"known"}
    assert lines[0].score > 0


def test_a_version_is_loaded_by_its_name(planted, settings):
    save(planted, settings)
    second = save(planted, settings)
    assert not second.is_current
    assert load_version(second.name, settings).name == second.name


def test_without_a_version_the_message_says_what_to_do(settings):
    with pytest.raises(NotFoundError, match="movierec train"):
        load_version(settings=settings)


def test_a_data_set_that_changed_is_refused(planted, settings):
    record = save(planted, settings)
    other = make_dataset(seed=9)
    with pytest.raises(ArtifactError, match="other data"):
        bring_back(record, fitted(planted).arrays(), other)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "how its data was split"),
        ({"split": {"name": "random"}}, "how its data was split"),
        ({"split": {"name": "diagonal"}, "split_test_sha256": ""}, "how its data"),
        ({"split": {"name": "random"}, "split_test_sha256": "0" * 64}, "another split"),
    ],
)
def test_a_split_that_cannot_be_made_again_is_refused(planted, settings, metadata, said):
    save(planted, settings, metadata=VersionMetadata.of(metadata))
    with pytest.raises(ArtifactError, match=said):
        load_version(settings=settings)


def test_a_changed_array_is_refused(planted, settings):
    record = save(planted, settings)
    (array,) = (settings.models_path / record.name).rglob("rating_user.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(ArtifactError):
        load_version(settings=settings)


def test_loading_and_recommending_import_no_torch(planted, settings, tmp_path: Path):
    save(planted, settings)
    code = (
        "import sys; from movierec.inference import load_version;"
        "print(len(load_version().recommend('u5', 3)),"
        " sorted({'surprise', 'torch', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 []"
