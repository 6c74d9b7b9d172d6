"""The trash: `models/.trash/vX.Y.Z`, renamed there and back. Hold the registry's lock.

A version leaves the list before its files move and comes back to it after they did, so that
nobody ever finds one listed without its files. What a killed process left half done is settled by
where the folder is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.registry.measurements import Measurements
from movierec.registry.names import TRASH, is_folder
from movierec.store import VersionRecord
from movierec.store.folders import discard, set_aside, sync
from movierec.store.versions import VersionStore

__all__ = ["bring_back", "bytes_in_trash", "is_expired", "remove", "throw_away", "tidy"]


def throw_away(root: Path, versions: VersionStore, name: str, until: datetime) -> None:
    """Move a version into the trash.

    Raises:
        ArtifactError: there already is a folder of this name.

    """
    target = root / TRASH / name
    _require_free(target)
    target.parent.mkdir(exist_ok=True)
    with _unlisted(versions, name, until):
        (root / name).rename(target)
    _sync(root)


def bring_back(root: Path, versions: VersionStore, name: str) -> None:
    """Move a version out of the trash and list it again.

    Raises:
        ArtifactError: its files are gone, or its place is taken.

    """
    kept = root / TRASH / name
    if not is_folder(kept):
        raise ArtifactError(
            f"The files of {name} are no longer in the trash.",
            hint=f"Put its folder back from a backup, into {kept.parent}.",
        )
    _require_free(root / name)
    kept.rename(root / name)
    _sync(root)
    versions.restore(name)
    tidy(root)


def remove(root: Path, versions: VersionStore, record: VersionRecord) -> None:
    """Delete a version for good, from the trash or from its place, and free its disk space.

    What was measured of it together with others goes with it.
    """
    name = record.name
    if record.trashed_at is not None:
        aside = set_aside(root / TRASH / name, into=root)
    else:
        with _unlisted(versions, name, datetime.now(UTC)):
            aside = set_aside(root / name)
    versions.delete(name)
    if aside is not None:
        discard(aside)
    Measurements(root).drop(name)
    tidy(root)


def is_expired(record: VersionRecord) -> bool:
    """Return whether a version's time in the trash is over."""
    return record.trashed_until is not None and record.trashed_until <= datetime.now(UTC)


def bytes_in_trash(root: Path) -> int:
    """Return how many bytes the files in the trash hold on the disk."""
    files = (path.lstat() for path in (root / TRASH).rglob("*") if not path.is_dir())
    return sum(facts.st_size for facts in files)


def tidy(root: Path) -> None:
    """Remove the trash's own folder when nothing is in it."""
    with suppress(OSError):
        (root / TRASH).rmdir()


@contextmanager
def _unlisted(versions: VersionStore, name: str, until: datetime) -> Iterator[None]:
    """Take a version off the list; back onto it when its files cannot be moved."""
    versions.trash(name, until)
    try:
        yield
    except OSError:
        versions.restore(name)
        raise


def _require_free(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise ArtifactError(
            f"{path} is in the way: two versions cannot have one name.",
            hint="Move that folder away, or remove it.",
        )


def _sync(root: Path) -> None:
    sync(root / TRASH)
    sync(root)
