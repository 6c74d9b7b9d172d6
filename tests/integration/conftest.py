"""Projects that tests of a module share, because making them takes a while."""

from __future__ import annotations

import pytest

from movierec.settings import Settings
from tests.support.project import project_in


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project of this module's own, with the data set `tiny`."""
    return project_in(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def empty_project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project without data."""
    return project_in(tmp_path_factory.mktemp("empty"), with_data=False)
