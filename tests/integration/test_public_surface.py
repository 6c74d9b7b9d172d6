"""Nothing that others rely on goes away: commands, options, JSON keys, addresses, files, tables.

The stored list is that of an older commit; `tests/old_home.py` says which, and how it was made.
What is there on top is no failure: `pytest -rP` prints it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.support.old_home import unpacked
from tests.support.public_surface import SURFACE, added, missing, surface

STORED: dict[str, Any] = json.loads(SURFACE.read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that is there now."""
    there: dict[str, Any] = surface(unpacked(tmp_path_factory.mktemp("surface")))
    return json.loads(json.dumps(there))


@pytest.mark.parametrize("part", sorted({name.split(": ")[0] for name in STORED}))
def test_nothing_is_missing(found, part):
    stored = {name: each for name, each in STORED.items() if name.startswith(f"{part}: ")}
    here = {name: each for name, each in found.items() if name.startswith(f"{part}: ")}
    sys.stdout.write("".join(f"new: {line}\n" for line in added(stored, here)))
    assert [*missing(stored, here)] == []
