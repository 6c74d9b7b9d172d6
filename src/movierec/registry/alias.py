"""`models/current`: a relative link that is replaced in one step."""

from __future__ import annotations

import uuid
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.registry.names import CURRENT, is_folder, is_name
from movierec.store.folders import sync

__all__ = ["clear_alias", "point_alias", "read_alias"]

_TEMPORARY = ".current-"


def read_alias(root: Path) -> str | None:
    """Return the name of the version that `current` leads to; None when it leads nowhere."""
    link = root / CURRENT
    try:
        target = str(link.readlink())
    except OSError:
        return None
    return target if is_name(target) and is_folder(root / target) else None


def point_alias(root: Path, name: str) -> None:
    """Make `current` lead to a version, with no moment in between.

    Raises:
        ArtifactError: something that is not a link is in the way.

    """
    link = root / CURRENT
    if link.exists() and not link.is_symlink():
        raise ArtifactError(
            f"{link} is not a link, so it cannot be moved to {name}.",
            hint="Move it away: the registry keeps a link of that name.",
        )
    temporary = root / f"{_TEMPORARY}{uuid.uuid4().hex[:12]}"
    temporary.symlink_to(name, target_is_directory=True)
    temporary.replace(link)
    sync(root)


def clear_alias(root: Path) -> None:
    """Remove a link that leads nowhere, and links that a killed process was about to move."""
    for temporary in root.glob(f"{_TEMPORARY}*"):
        temporary.unlink(missing_ok=True)
    if (root / CURRENT).is_symlink() and read_alias(root) is None:
        (root / CURRENT).unlink(missing_ok=True)
