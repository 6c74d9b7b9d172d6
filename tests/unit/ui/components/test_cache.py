"""What open pages share between their polls."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from movierec.settings import Settings
from movierec.store import Store
from movierec.store.runs import RunStore
from movierec.ui.components import cache
from tests.support import states

POLLS = 200


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


def test_many_polls_read_the_database_few_times(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = states.add_running(store, "small", n_epochs=3)
    reads: list[object] = []
    epochs = RunStore.epochs
    monkeypatch.setattr(RunStore, "epochs", lambda *a: reads.append(a) or epochs(*a))
    for _ in range(POLLS):
        assert [each.id for each in cache.active_runs()] == [run.id]
        assert len(cache.epochs(run.id)) == 3
    assert len(reads) < POLLS / 2


def test_a_page_that_is_opened_sees_rows_as_they_are(store: Store) -> None:
    run = states.add_running(store, "small", n_epochs=3)
    assert len(cache.epochs(run.id)) == 3
    assert len(cache.active_runs()) == 1
    store.runs.add_epoch(run.id, states.epochs()[3])
    store.runs.finish(run.id, "succeeded")
    cache.forget_runs()
    assert len(cache.epochs(run.id)) == 4
    assert cache.active_runs() == []


def test_what_is_drawn_is_drawn_once_and_anew_when_it_depends_on_something_else() -> None:
    made: list[int] = []

    def draw() -> int:
        made.append(len(made))
        return len(made)

    def shown(*of: int | str) -> int:
        return cache.drawn(("chart", *of), draw)

    assert [shown(1, "a"), shown(1, "a"), shown(2, "a"), shown(1, "b"), shown(1, "a")] == [
        1, 1, 2, 3, 1,
    ]  # fmt: skip
