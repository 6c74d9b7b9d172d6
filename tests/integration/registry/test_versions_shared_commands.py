"""Several machines with one place for versions: commands, the worker, `doctor` and the API."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from movierec.jobs.retention import push_waiting_versions
from movierec.registry import Registry
from movierec.registry.files import problems_of
from movierec.settings import Settings
from movierec.store import open_store
from movierec.ui.components import cache
from movierec.workflows.doctor import diagnose
from tests.support.places import settings_of
from tests.support.project import Said, environment, import_tiny, movierec, one_line, train_version
from tests.support.serving import Api


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and two versions of machine a, which made them."""
    root = tmp_path_factory.mktemp("shared")
    (root / "mounted").mkdir()
    a = machine(root, "a")
    import_tiny(a)
    train_version(a, "biases")
    train_version(a, "ease")
    return root


def machine(root: Path, name: str) -> Settings:
    found = settings_of(root, name, (root / "mounted").as_uri())
    return found.model_copy(update={"threads": 1})


@pytest.fixture
def b(place: Path) -> Settings:
    """A machine that has nothing yet."""
    return machine(place, f"b-{uuid.uuid4().hex[:12]}")


def versions_of(settings: Settings, *arguments: object) -> Said:
    said = movierec(settings, "versions", *arguments, width=200)
    assert said.code == 0, said.err
    return said


def test_pull_and_push(place, b):
    a, shown = machine(place, "a"), f"file://{place / 'mounted'}"
    assert versions_of(b, "show", "v1.1.0", "--json").facts["place"] == (
        f"{shown}, not this machine yet"
    )
    assert versions_of(b, "pull", "v1.1.0", "--json").facts == {
        "here": ["v1.1.0"], "location": shown,
    }  # fmt: skip
    assert f"Place: this machine and {shown}" in versions_of(b, "show", "v1.1.0").out
    assert not (b.models_path / "current").exists()
    assert versions_of(b, "pull").out == "v1.0.0 is on this machine, whole.\n"
    assert str((b.models_path / "current").readlink()) == "v1.0.0"
    assert versions_of(a, "push").out == "No version waits.\n"
    (place / "mounted" / "v1.1.0" / "per_user.parquet").write_bytes(b"")
    assert versions_of(b, "push", "v1.0.0", "v1.1.0").out == (
        f"v1.0.0 and v1.1.0 are in {shown}.\n"
    )
    assert problems_of(place / "mounted" / "v1.1.0") == []
    assert versions_of(b, "push", "--json").facts == {"pushed": [], "location": shown}


def test_a_list_comes_from_a_version_that_another_machine_made(b):
    assert movierec(b, "recommend", "--user", "u1", "--json").facts["version"] == "v1.0.0"
    assert problems_of(b.models_path / "v1.0.0") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["push"], 2, "MOVIEREC_ARTIFACTS_URL is not set"),
        (["pull"], 2, "MOVIEREC_ARTIFACTS_URL is not set"),
    ],
)
def test_without_a_place_it_says_what_to_set(settings, arguments, code, said):
    found = movierec(settings, "versions", *arguments)
    assert said in one_line(found)
    assert found.code == code


def test_what_is_not_there_is_one_line(place, b):
    (place / "mounted" / "v1.1.0" / "metadata.json").rename(place / "aside.json")
    try:
        found = movierec(b, "versions", "pull", "v1.1.0")
        assert "v1.1.0 is not in file://" in one_line(found)
        assert "movierec versions push v1.1.0" in one_line(found)
        assert found.code == 8
        lines = {f.text: f.health for f in diagnose(b) if f.topic in ("version", "artifacts")}
        assert lines[f"v1.1.0: It is neither here nor in file://{place / 'mounted'}."] == "wrong"
        assert lines["v1.0.0 (current): all files are whole"] == "ok"
    finally:
        (place / "aside.json").rename(place / "mounted" / "v1.1.0" / "metadata.json")


def test_a_worker_pushes_what_waits(place):
    a = machine(place, "a")
    (place / "mounted").rename(place / "away")
    try:
        said = movierec(a, "train", "--preset", "popular", "--current")
        assert "v1.2.0 could not be pushed" in said.err
        assert "versions push" in said.err
        found = {finding.text: finding for finding in diagnose(a)}
        away = f"The versions in file://{place / 'mounted'} cannot be reached"
        assert [f.health for text, f in found.items() if text.startswith(away)] == ["wrong"]
    finally:
        (place / "away").rename(place / "mounted")
    found = {finding.text: finding for finding in diagnose(a)}
    assert found["v1.2.0 is on this machine alone"].health == "note"
    pushing = push_waiting_versions(a)
    assert pushing is not None
    pushing.join(60)
    assert problems_of(place / "mounted" / "v1.2.0") == []
    with open_store(a) as store:
        assert Registry(a, store).shared.waiting() == []


def test_a_page_compares_as_soon_as_the_place_is_back(place, b):
    (place / "mounted").rename(place / "away")
    with environment(b), open_store(b) as store:
        record = store.versions.get("v1.0.0")
        try:
            (found,) = cache.evidence([record])[0].values()
            assert found.problem.startswith("The versions in file://")
            assert not found.record.is_missing
        finally:
            (place / "away").rename(place / "mounted")
        (found,) = cache.evidence([record])[0].values()
        assert found.problem == ""
        assert found.per_user is not None


def test_nothing_is_pushed_where_nothing_is_shared(settings):
    assert push_waiting_versions(settings) is None


def test_the_api_follows_another_machine(place, b, monkeypatch):
    monkeypatch.setattr("movierec.server.versions.SECONDS", 0.05)
    a = machine(place, "a")

    def version() -> str:
        name: str = api.get("/version").raise_for_status().json()["version"]
        return name

    with Api(b) as api:
        assert version() == "v1.0.0"
        try:
            versions_of(a, "promote", "v1.1.0", "--override", "a test")
            assert api.until(lambda: version() == "v1.1.0")
            assert problems_of(b.models_path / "v1.1.0") == []
        finally:
            versions_of(a, "promote", "v1.0.0", "--override", "a test")
        assert api.until(lambda: version() == "v1.0.0")


def test_the_api_has_versions_with_a_share_fetched(b):
    with Api(b, api_traffic="v1.1.0=1") as api:
        answered = api.until(lambda: _share(api))
    assert answered["version"] == "v1.1.0"


def _share(api: Api) -> dict[str, str] | None:
    found: dict[str, str] = api.get("/recommend", user="u1").raise_for_status().json()
    return found if found["version"] == "v1.1.0" else None
