"""`movierec versions`: list, show, annotate, promote, delete and restore versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.options import JsonOption, VersionArgument, YesOption, confirm
from movierec.cli.output import emit, headline, metrics_table, mib, moment, number, table
from movierec.cli.versions.measure import measure
from movierec.cli.versions.tables import history_table, opened, trash_table
from movierec.cli.versions.transfer import card, export, import_, pull, push
from movierec.registry.lineage import lineage
from movierec.settings import load_settings
from movierec.store import VersionRecord

__all__ = ["app"]


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
def show(name: VersionArgument = "current", as_json: JsonOption = False) -> None:
    """Show one version: what it is, how it did, and whether its files are whole."""
    with opened() as (registry, store):
        record = registry.get(name)
        problems, origin = registry.verify(record.name), lineage(store, record)
        location = registry.shared.where(record.name) if registry.location else ""
    sizes = {file: facts.bytes for file, facts in record.metadata.files.items()}
    facts = {
        "version": record, "problems": problems, "lineage": origin, "files": sizes,
        "place": location,
    }  # fmt: skip
    labelled = {**origin.facts(), "Place": location}
    emit(as_json, facts, lambda: _shown(record, problems, labelled, sizes))


@app.command()
def tag(
    name: VersionArgument,
    add: Annotated[Several, typer.Option(help="A tag to add; repeatable.")] = None,
    remove: Annotated[Several, typer.Option(help="A tag to take away; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to a version and take them away; without either, show them."""
    with opened() as (registry, _):
        record = registry.tag(name, add or (), remove or ())
    facts = {"version": record.name, "tags": record.tags}
    tags = ", ".join(record.tags) or "no tags"
    emit(as_json, facts, lambda: Text(f"{record.name}: {tags}"))


@app.command()
def note(
    name: VersionArgument,
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
    name: VersionArgument,
    now: Annotated[
        bool, typer.Option("--now", help="For good: it cannot be restored, its space is free.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a version; it can be restored for some days. The current one is refused."""
    with opened() as (registry, _):
        record = registry.get(name)
        size = mib(record.size_bytes)
        freed = f" and free {size}" if now else ""
        confirm(f"Delete {record.name} ({record.preset}){freed}?", yes=yes)
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
        records, size = registry.trash(), registry.trash_bytes()
    facts = {"versions": records, "bytes": size}
    emit(as_json, facts, lambda: trash_table(records, size))


@app.command()
def restore(name: VersionArgument, as_json: JsonOption = False) -> None:
    """Bring a deleted version back with its tags and notes."""
    with opened() as (registry, _):
        record = registry.restore(name)
    emit(as_json, {"restored": record.name}, lambda: f"{record.name} is back.")


@app.command("empty-trash")
def empty_trash(
    expired: Annotated[
        bool, typer.Option("--expired", help="Only what has been there for its time.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete for good what is in the trash, and free its disk space."""
    with opened() as (registry, _):
        size = registry.trash_bytes()
        confirm(f"Free {mib(size)} for good?", yes=yes or expired or not registry.trash())
        gone = [record.name for record in registry.empty_trash(expired_only=expired)]
        freed = size - registry.trash_bytes()
    text = f"{', '.join(gone)} gone; {mib(freed)} are free." if gone else "Nothing was deleted."
    emit(as_json, {"deleted": gone, "freed_bytes": freed}, lambda: text)


@app.command()
def promote(
    name: VersionArgument,
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
        moves = registry.promotion.history()
    facts = {"current": record.name, "move": moves[0] if moves else None}
    emit(as_json, facts, lambda: f"{record.name} is current.")


@app.command()
def rollback(as_json: JsonOption = False) -> None:
    """Make the version current again that was so before; once more leads further back."""
    with opened() as (registry, _):
        record = registry.promotion.rollback()
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current again.")


@app.command()
def history(as_json: JsonOption = False) -> None:
    """List how current moved, newest first: when, to what, by whom and why."""
    with opened() as (registry, _):
        moves = registry.promotion.history()
    emit(as_json, moves, lambda: history_table(moves))


app.command("import")(import_)
for command in (export, card, push, pull, measure):
    app.command()(command)


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
    columns = (*names, "Tags") if has_tags else names
    rows = (
        (*_cells(record), *([Text(", ".join(record.tags))] if has_tags else []))
        for record in records
    )
    return table("Versions", *columns, right=right, rows=rows)


def _cells(record: VersionRecord) -> tuple[str | Text, ...]:
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
    chosen = record.metadata.hyperparameters.items()
    settings = table(
        "Hyperparameters", "Name", "Value", rows=((name, str(value)) for name, value in chosen)
    )
    files = table(
        f"Files, {mib(record.size_bytes)}", "File", "Bytes", right=("Bytes",),
        rows=((Text(file), f"{size:,}") for file, size in sizes.items()),
    )  # fmt: skip
    labelled = {**origin, "Tags": ", ".join(record.tags), "Notes": record.notes}
    lines = [Text(f"{name}: {text}") for name, text in labelled.items() if text]
    tables = [metrics_table(record), *([settings] if chosen else []), files]
    return Group(Text(headline(record)), *lines, *tables, Text(whole))


def _deleted(name: str, size: str, until: datetime | None) -> str:
    if until is None:
        return f"{name} is deleted; {size} are free."
    return (
        f"{name} is in the trash until {moment(until)} UTC and holds {size}. "
        f"Bring it back: movierec versions restore {name}"
    )
