"""What the processes that movierec starts are given."""

from __future__ import annotations

import pytest

from movierec.jobs.launch import start_process
from movierec.settings import Settings


@pytest.mark.parametrize(("chosen", "expected"), [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_leave_the_core_to_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, chosen: str, expected: str
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
    (settings.home / "tell.py").write_text("import os; print(os.environ['OMP_WAIT_POLICY'])\n")
    log = settings.home / "tell.log"
    assert start_process(settings, "tell", log=log).wait(timeout=60) == 0
    assert log.read_text().strip() == expected
