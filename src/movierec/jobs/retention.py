"""What a worker tidies before it works: old checkpoints, the trash, versions to be pushed."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from movierec.errors import MovierecError
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunState, Store, open_store

__all__ = ["drop_expired_versions", "drop_old_checkpoints", "push_waiting_versions"]

logger = logging.getLogger(__name__)

RESUMABLE: tuple[RunState, ...] = ("failed", "cancelled", "interrupted")


def drop_old_checkpoints(
    settings: Settings, store: Store, *, older_than: timedelta | None = None
) -> int:
    """Delete the checkpoints of runs that ended without a result long ago; return the bytes freed.

    Rows, epochs and logs stay. A run without its checkpoint starts from the beginning when it
    is resumed.
    """
    age = timedelta(days=settings.keep_checkpoints_days) if older_than is None else older_than
    before, freed = datetime.now(UTC) - age, 0
    for folder in settings.runs_path.glob("[0-9]*"):
        files = _checkpoints(folder) if folder.name.isdigit() else []
        if files and _is_past(store, int(folder.name), before):
            for file in files:
                freed += file.stat().st_size
                file.unlink(missing_ok=True)
    if freed:
        logger.info("checkpoints freed=%d bytes", freed)
    return freed


def _checkpoints(folder: Path) -> list[Path]:
    """Return the files of one run's checkpoints, and what a killed process left half written."""
    by_workers = (file for file in folder.glob("checkpoint/**/*") if file.is_file())
    return [*folder.glob("checkpoint*.pt"), *folder.glob(".checkpoint*.pt.*"), *by_workers]


def _is_past(store: Store, run_id: int, before: datetime) -> bool:
    found = [run for run in store.runs.list(1, RESUMABLE, before=run_id + 1) if run.id == run_id]
    return bool(found) and found[0].finished_at is not None and found[0].finished_at < before


def drop_expired_versions(settings: Settings, store: Store) -> list[str]:
    """Delete what has been in the trash for its time; return the names.

    A folder that cannot be written is no reason not to work: it is tried again next time.
    """
    try:
        gone = Registry(settings, store).empty_trash(expired_only=True)
    except MovierecError:
        logger.warning("the trash cannot be emptied", exc_info=True)
        return []
    names = [record.name for record in gone]
    if names:
        logger.info("trash deleted=%s", ",".join(names))
    return names


def push_waiting_versions(settings: Settings) -> threading.Thread | None:
    """Push what this machine alone has to the place that machines share, while others work.

    A place that cannot be reached is no reason not to work: it is tried again next time.
    Returns the thread that does it; None where nothing is shared.
    """
    if not settings.artifacts_url:
        return None
    # whoever ends meanwhile need not wait: half a version counts as none
    pushing = threading.Thread(target=_push, args=(settings,), name="push", daemon=True)
    pushing.start()
    return pushing


def _push(settings: Settings) -> None:
    try:
        with open_store(settings) as store:
            names = Registry(settings, store).shared.push()
    except MovierecError:
        logger.warning("versions cannot be pushed", exc_info=True)
        return
    if names:
        logger.info("versions pushed=%s", ",".join(names))
