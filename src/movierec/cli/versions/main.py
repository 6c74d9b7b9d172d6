"""`movierec versions`: what is kept, what is said about it, and the trash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import JsonOption, emit, headline, metrics_table, number, table
from movierec.cli.versions import files as version_files
from movierec.cli.versions import main, shared
from movierec.cli.versions.measure import measure
from movierec.cli.versions.tables import Name, Yes, history_table, mib, moment, opened, trash_table
from movierec.registry.lineage import lineage
from movierec.settings import load_settings
from movierec.store import VersionRecord

__all__ = [
    "add_to",
    "app",
]


def add_to(app: typer.Typer) -> None:
    """Give a group the commands that move `current`."""
    for command in (promote, rollback, history):
        app.command()(command)


def promote(
    name: Name,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="A metric that may not get worse; repeatable. Default: the settings'."),
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(
            help="Promote it whatever the checks find, for this reason.", metavar="REASON"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the current one, unless it is worse for sure or its files are not whole."""
    from movierec.workflows.promote import promote as promote_checked

    guards = guard or load_settings().promotion_guards
    with opened() as (registry, _):
        record = promote_checked(registry, name, guards=guards, override=override)
        moves = registry.history()
    facts = {"current": record.name, "move": moves[0] if moves else None}
    emit(as_json, facts, lambda: f"{record.name} is current.")


def rollback(as_json: JsonOption = False) -> None:
    """Make the version current again that was so before; once more leads further back."""
    with opened() as (registry, _):
        record = registry.rollback()
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current again.")


def history(as_json: JsonOption = False) -> None:
    """List how current moved, newest first: when, to what, by whom and why."""
    with opened() as (registry, _):
        moves = registry.history()
    emit(as_json, moves, lambda: history_table(moves))


app = typer.Typer(
    name="versions",
    help="List, show, tag, promote, roll back, delete and restore versions.",
    no_args_is_help=True,
)
Several = list[str] | None


@app.command("list")
def list_(
    tag: Annotated[Several, typer.Option(help="Only with this tag; repeatable.")] = None,
    data: Annotated[Several, typer.Option(help="Only of this data set; repeatable.")] = None,
    model: Annotated[Several, typer.Option(help="Only this model or preset; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List all versions, newest first; RMSE and NDCG@10 are of their own test part."""
    with opened() as (registry, _):
        found = registry.list() if as_json else registry.summaries()
    chosen = [record for record in found if _is_chosen(record, tag, data, model)]
    emit(as_json, chosen, lambda: _listed(chosen, is_filtered=bool(found)))


@app.command()
def show(name: Name = "current", as_json: JsonOption = False) -> None:
    """Show one version: what it is, how it did, and whether its files are whole."""
    with opened() as (registry, store):
        record = registry.get(name)
        problems, origin = registry.verify(record.name), lineage(store, record)
        place = registry.where(record.name)
    sizes = {file: facts.bytes for file, facts in record.metadata.files.items()}
    facts = {
        "version": record, "problems": problems, "lineage": origin, "files": sizes, "place": place,
    }  # fmt: skip
    told = {**origin.facts(), "Place": place}
    emit(as_json, facts, lambda: _shown(record, problems, told, sizes))


@app.command()
def tag(
    name: Name,
    add: Annotated[Several, typer.Option(help="A tag to add; repeatable.")] = None,
    remove: Annotated[Several, typer.Option(help="A tag to take away; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to a version and take them away; without either, show them."""
    with opened() as (registry, _):
        record = registry.tag(name, add or (), remove or ())
    facts = {"version": record.name, "tags": record.tags}
    said = ", ".join(record.tags) or "no tags"
    emit(as_json, facts, lambda: Text(f"{record.name}: {said}"))


@app.command()
def note(
    name: Name,
    text: Annotated[str | None, typer.Argument(help="The notes; without them they show.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the notes on a version, or show them; an empty text removes them."""
    with opened() as (registry, _):
        record = registry.get(name) if text is None else registry.annotate(name, text)
    facts = {"version": record.name, "notes": record.notes}
    emit(as_json, facts, lambda: Text(record.notes or f"There are no notes on {record.name}."))


@app.command()
def delete(
    name: Name,
    now: Annotated[
        bool, typer.Option("--now", help="For good: it cannot be restored, its space is free.")
    ] = False,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a version; it can be restored for some days. The current one is refused."""
    with opened() as (registry, _):
        record = registry.get(name)
        size = mib(record.size_bytes)
        if not yes:
            freed = f" and free {size}" if now else ""
            question = f"Delete {record.name} ({record.preset}){freed}?"
            typer.confirm(question, abort=True, err=True)
        registry.delete(record.name, now=now)
        kept = next((item for item in registry.trash() if item.name == record.name), None)
    until = None if kept is None else kept.trashed_until
    freed_bytes = record.size_bytes if kept is None else 0
    facts = {"deleted": record.name, "freed_bytes": freed_bytes, "restorable_until": until}
    emit(as_json, facts, lambda: _deleted(record.name, size, until))


@app.command()
def trash(as_json: JsonOption = False) -> None:
    """List deleted versions that can be restored, and the disk space they hold."""
    with opened() as (registry, _):
        kept, held = registry.trash(), registry.trash_bytes()
    facts = {"versions": kept, "bytes": held}
    emit(as_json, facts, lambda: trash_table(kept, held))


@app.command()
def restore(name: Name, as_json: JsonOption = False) -> None:
    """Bring a deleted version back with its tags and notes."""
    with opened() as (registry, _):
        record = registry.restore(name)
    emit(as_json, {"restored": record.name}, lambda: f"{record.name} is back.")


@app.command("empty-trash")
def empty_trash(
    expired: Annotated[
        bool, typer.Option("--expired", help="Only what has been there for its time.")
    ] = False,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Delete for good what is in the trash, and free its disk space."""
    with opened() as (registry, _):
        held = registry.trash_bytes()
        if not yes and not expired and registry.trash():
            typer.confirm(f"Free {mib(held)} for good?", abort=True, err=True)
        gone = [record.name for record in registry.empty_trash(expired_only=expired)]
        freed = held - registry.trash_bytes()
    said = f"{', '.join(gone)} gone; {mib(freed)} are free." if gone else "Nothing was deleted."
    emit(as_json, {"deleted": gone, "freed_bytes": freed}, lambda: said)


main.add_to(app)
version_files.add_to(app)
shared.add_to(app)
app.command()(measure)


def _is_chosen(record: VersionRecord, tag: Several, data: Several, model: Several) -> bool:
    own = {text.casefold() for text in record.tags}
    return (
        all(text.strip().casefold() in own for text in tag or ())
        and (not data or record.dataset_name in data)
        and (not model or bool({record.model, record.preset} & {*model}))
    )


def _listed(records: list[VersionRecord], *, is_filtered: bool) -> RenderableType:
    if not records:
        return "No version is like that." if is_filtered else (
            "There is no version yet. Train one: movierec train"
        )  # fmt: skip
    right = ("RMSE", "NDCG@10 full", "Weights")
    names = ("Version", "Model", "Data set", "Split", *right, "Trained")
    has_tags = any(record.tags for record in records)
    drawn = table("Versions", *names, *(["Tags"] if has_tags else []), right=right)
    for record in records:
        drawn.add_row(*_cells(record), *([Text(", ".join(record.tags))] if has_tags else []))
    return drawn


def _cells(record: VersionRecord) -> Iterable[str | Text]:
    evaluation = record.metadata.evaluation
    return (
        f"{record.name}{' current' if record.is_current else ''}",
        record.preset,
        Text(record.dataset_name),
        record.split_label,
        number(evaluation.rmse),
        number(evaluation.full.get("ndcg_at_10")),
        f"{record.parameters:,}",
        moment(record.created_at),
    )


def _shown(
    record: VersionRecord,
    problems: list[str],
    origin: Mapping[str, str],
    sizes: Mapping[str, int],
) -> RenderableType:
    whole = "All files are whole." if not problems else "Problems: " + " ".join(problems)
    settings = table("Hyperparameters", "Name", "Value")
    for name, value in record.metadata.hyperparameters.items():
        settings.add_row(name, str(value))
    files = table(f"Files, {mib(record.size_bytes)}", "File", "Bytes", right=("Bytes",))
    for file, size in sizes.items():
        files.add_row(Text(file), f"{size:,}")
    parts = [settings] if settings.row_count else []
    return Group(
        Text(headline(record)), *_words(record, origin), metrics_table(record), *parts, files,
        Text(whole),
    )  # fmt: skip


def _words(record: VersionRecord, origin: Mapping[str, str]) -> list[Text]:
    told = {**origin, "Tags": ", ".join(record.tags), "Notes": record.notes}
    return [Text(f"{name}: {text}") for name, text in told.items() if text]


def _deleted(name: str, size: str, until: datetime | None) -> str:
    if until is None:
        return f"{name} is deleted; {size} are free."
    return (
        f"{name} is in the trash until {moment(until)} UTC and holds {size}. "
        f"Bring it back: movierec versions restore {name}"
    )
