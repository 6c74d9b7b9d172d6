"""What the processes that movierec starts are given."""

from __future__ import annotations

import pytest

from movierec.jobs.process import SPINS, start_process
from movierec.settings import Settings

TELL = "import os; print(*map(os.environ.get, ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')))\n"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, f"{SPINS} None"),
        ({"GOMP_SPINCOUNT": "7"}, "7 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
    ],
)
def test_threads_that_wait_leave_the_core_to_others_soon(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], expected: str
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    (settings.home / "tell.py").write_text(TELL)
    log = settings.home / "tell.log"
    assert start_process(settings, "tell", log=log).wait(timeout=60) == 0
    assert log.read_text().strip() == expected
