"""A copy of a version for other places than the project's own folder of versions."""

from __future__ import annotations

import shutil
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.folders import incoming_folder
from movierec.registry import Registry
from movierec.registry.folder import point_alias
from movierec.settings import Settings
from movierec.store import open_store

__all__ = ["export_version"]


def export_version(name: str, folder: Path, settings: Settings) -> Path:
    """Copy a version into a folder, make `current` there lead to it, and return the copy.

    The version stays where it is; nothing is copied when the folder is the project's own.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: something of that name is in the folder, or it cannot be written.

    """
    with open_store(settings) as store:
        source = Registry(settings, store).path(name)
    if folder.resolve() == settings.models_path.resolve():
        return source
    copy = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with incoming_folder(folder) as incoming:
            shutil.copytree(source, incoming, dirs_exist_ok=True)
            incoming.rename(copy)
        point_alias(folder, source.name)
    except OSError as error:
        raise ArtifactError(
            f"The version {source.name} cannot be copied to {folder}: {error.strerror or error}.",
            hint=f"It is kept in {source}; copy it from there.",
        ) from error
    return copy
