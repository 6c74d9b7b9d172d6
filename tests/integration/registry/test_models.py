"""Every kind of model goes out as an archive and comes in as the same version."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from movierec.comparison.evidence import read_evidence
from movierec.comparison.pairs import compare_pair
from movierec.inference import load_version
from movierec.registry import Registry
from movierec.registry.archive.pack import export_archive, import_archive
from movierec.settings import Settings
from movierec.store import open_store

# both presets of GraphSAGE, a model that only ranks, one that predicts from means
MODELS = {"default": "v1.0.0", "report": "v1.2.0", "ease": "v1.3.0", "biases": "v1.4.0"}


@pytest.mark.parametrize("name", MODELS.values(), ids=MODELS)
def test_a_version_that_comes_back_is_the_same_one(trained: Settings, name: str) -> None:
    with open_store(trained) as store:
        registry = Registry(trained, store)
        path = export_archive(registry, name, trained.home)
        copy = import_archive(registry, path).name
        assert registry.verify(copy) == []
        pair = compare_pair(read_evidence(registry, name), read_evidence(registry, copy))
    assert pair.is_comparable
    assert {d.delta for d in pair.differences} == {0.0}
    assert all(math.isnan(delta) or delta == 0 for delta in pair.deltas.values())
    before, after = (load_version(each, trained).recommend("u1") for each in (name, copy))
    assert [replace(line, version=name) for line in after] == before
