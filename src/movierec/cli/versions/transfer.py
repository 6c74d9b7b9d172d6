"""`movierec versions export`, `import`, `card`, `push` and `pull`: versions leave and arrive.

Exported files go anywhere; `push` and `pull` use the storage that several machines share.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from movierec.cli.options import JsonOption, VersionArgument
from movierec.cli.output import console, emit, mib, progress_bar
from movierec.cli.versions.tables import opened
from movierec.errors import SettingsError
from movierec.folders import write_whole
from movierec.registry import Registry
from movierec.registry.names import listed
from movierec.settings import Settings, load_settings
from movierec.store import open_store

if TYPE_CHECKING:
    from movierec.export.mlflow import Exported

__all__ = ["card", "export", "import_", "pull", "push", "warn_if_not_pushed"]

DEFAULT_EXPERIMENT = "movierec"


def export(
    names: Annotated[
        list[str] | None, typer.Argument(help="Versions; without any, the current one.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="File, or a folder for files of the usual names.")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Write into this MLflow tracking store instead."),
    ] = None,
    experiment: Annotated[
        str, typer.Option(help="MLflow's experiment; it is made if need be.")
    ] = DEFAULT_EXPERIMENT,
    as_json: JsonOption = False,
) -> None:
    """Write versions into one file each, or into an MLflow tracking store.

    A file holds everything of a version but its data, with checksums; `movierec versions import`
    reads it anywhere. In MLflow a version becomes a run, the same one when it is exported again.
    """
    chosen = names or ["current"]
    if mlflow is None:
        found = _archives(chosen, to)
        lines = "\n".join(f"{each['path']}  {mib(each['bytes'])}" for each in found)
        emit(as_json, {"archives": found}, lambda: lines)
        return
    if to is not None:
        raise SettingsError("--to and --mlflow exclude each other.", hint="Leave one out.")
    runs = _runs(chosen, mlflow, experiment)
    emit(as_json, {"runs": runs}, lambda: "\n".join(_sentence(run, experiment) for run in runs))


def import_(
    file: Annotated[Path, typer.Argument(help="What `movierec versions export` wrote.")],
    name: Annotated[
        str | None, typer.Option(help="Its name here; else its own, or the next free one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the version of an exported file, after checking everything in it.

    The file may come from anybody: no code in it is run, and of one that is refused nothing is
    left. The version is not made current; its data set need not be in the database.
    """
    from movierec.registry.archive.pack import import_archive
    from movierec.registry.lineage import lineage

    with opened() as (registry, store):
        record = import_archive(registry, file, name=name)
        is_data_here = lineage(store, record).is_data_here
    warn_if_not_pushed(load_settings(), record.name)
    there = record.origin.get("name")
    other = f" It was {there} where it comes from." if there != record.name else ""
    missing = "" if is_data_here else _missing_data(record.dataset_name, record.fingerprint)
    facts = {"version": record, "is_data_here": is_data_here}
    emit(as_json, facts, lambda: f"{record.name} is imported.{other}{missing}")


def card(
    name: VersionArgument = "current",
    to: Annotated[Path | None, typer.Option(help="File to write it to.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a version's model card as Markdown: what it is, how good for whom, and its limits."""
    from movierec.export.model_card import model_card

    with opened() as (registry, store):
        record = registry.get(name)
        text = model_card(store, record)
    if to is not None:
        write_whole(to, text)
        emit(as_json, {"version": record.name, "path": to}, lambda: str(to))
    elif as_json:
        emit(as_json, {"version": record.name, "card": text}, str)
    else:
        typer.echo(text, nl=False)


def push(
    names: Annotated[
        list[str] | None, typer.Argument(help="Versions; without any, those that wait.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put versions into MOVIEREC_ARTIFACTS_URL, from where every machine can fetch them.

    A new version is pushed when it is kept; what could not be pushed then waits. One that is
    named is pushed again, which mends what was changed there.
    """
    with opened() as (registry, _), progress_bar("Pushing") as report:
        pushed, location = registry.shared.push(names or (), report), registry.location
    text = f"{listed(pushed)} {_is(pushed)} in {location}." if pushed else "No version waits."
    emit(as_json, {"pushed": pushed, "location": location}, lambda: text)


def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Versions; without any, the current one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch versions from MOVIEREC_ARTIFACTS_URL; a damaged copy here is replaced.

    Whatever needs a version fetches it by itself: this is for before, and for repairs.
    """
    with opened() as (registry, _), progress_bar("Fetching") as report:
        here = [registry.shared.pull(name, report).name for name in names or ["current"]]
        location = registry.location
    text = f"{listed(here)} {_is(here)} on this machine, whole."
    emit(as_json, {"here": here, "location": location}, lambda: text)


def warn_if_not_pushed(settings: Settings, name: str) -> None:
    """Warn on stderr where a version that was just kept could not be pushed."""
    if not settings.artifacts_url:
        return
    with open_store(settings) as store:
        is_alone = name in Registry(settings, store).shared.waiting()
    if is_alone:
        message = (
            f"{name} could not be pushed: it lies on this machine alone and is not current. "
            "Try again: movierec versions push"
        )
        console(stderr=True).print(message, markup=False, soft_wrap=True)


def _archives(names: list[str], to: Path | None) -> list[dict[str, Any]]:
    with opened() as (registry, _):
        records = {record.name: record for record in map(registry.get, names)}
        if to is not None and len(records) > 1 and not to.is_dir():
            raise SettingsError(
                f"{to} is not a folder, and {len(records)} versions need one file each.",
                hint="Make the folder first, or export them one by one.",
            )
        return [_archive(registry, name, to or Path()) for name in records]


def _archive(registry: Registry, name: str, to: Path) -> dict[str, Any]:
    from movierec.registry.archive.pack import export_archive

    path = export_archive(registry, name, to)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"version": name, "path": path, "bytes": path.stat().st_size, "sha256": digest}


def _runs(names: list[str], uri: str, experiment: str) -> list[Exported]:
    from movierec.export.mlflow import export_to_mlflow

    with opened() as (registry, store), progress_bar("Exporting") as report:
        return export_to_mlflow(registry, store, names, uri, experiment, on_progress=report)


def _sentence(run: Exported, experiment: str) -> str:
    done = "is now" if run.is_new else "was already"
    return f"{run.version} {done} run {run.run_id} of the experiment {experiment}."


def _missing_data(dataset: str, fingerprint: str) -> str:
    return (
        f" Its data set {dataset}, fingerprint {fingerprint[:12]}…, is not in this database: to "
        "recommend with it, import the same data with `movierec data import`."
    )


def _is(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"
