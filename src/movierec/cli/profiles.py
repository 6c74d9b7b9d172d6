"""`movierec profiles`: profiles of new users, stored under a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from movierec.cli.options import DataOption, JsonOption, YesOption, confirm
from movierec.cli.output import emit, moment, number, table
from movierec.settings import load_settings
from movierec.store import ProfileRecord, open_store

__all__ = ["app"]

app = typer.Typer(
    name="profiles",
    help="Keep newcomers under a name, list, show and delete them.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="Name of the profile.")]


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List a data set's named profiles."""
    with open_store(load_settings()) as store:
        record = store.datasets.get(data)
        found = store.profiles.list(record.fingerprint)
    emit(as_json, found, lambda: _listing(record.name, found))


@app.command()
def show(name: NameArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show a profile's ratings and what else is known."""
    with open_store(load_settings()) as store:
        dataset = store.datasets.load(data)
        found = store.profiles.get(name, dataset.fingerprint)
    titles = dict(zip(dataset.movies.ids, dataset.titles, strict=True))
    emit(as_json, found, lambda: _shown(found, titles))


@app.command()
def save(
    name: NameArgument,
    ratings: Annotated[
        Path, typer.Argument(help="A file of their ratings, with columns movieId and rating.")
    ],
    version: Annotated[
        str, typer.Option(help="Whose data set's movies these are: a version.")
    ] = "current",
    as_json: JsonOption = False,
) -> None:
    """Keep ratings under a name, in place of a profile of this name."""
    from movierec.inference import load_version
    from movierec.workflows.data import own_ratings

    settings = load_settings()
    loaded = load_version(version, settings)
    found = own_ratings(ratings, loaded)
    with open_store(settings) as store:
        kept = store.profiles.save(name, loaded.dataset.fingerprint, found)
    text = f"{kept.name} is kept with {len(kept.ratings):,} ratings for {loaded.dataset.name}."
    emit(as_json, kept, lambda: Text(text))


@app.command()
def delete(
    name: NameArgument, data: DataOption = None, yes: YesOption = False, as_json: JsonOption = False
) -> None:
    """Delete a profile."""
    with open_store(load_settings()) as store:
        fingerprint = store.datasets.get(data).fingerprint
        record = store.profiles.get(name, fingerprint)
        ratings = f"{len(record.ratings):,} ratings"
        confirm(f"Delete the profile {record.name} with {ratings}?", yes=yes)
        store.profiles.delete(record.name, fingerprint)
    emit(as_json, {"deleted": record.name}, lambda: Text(f"Deleted the profile {record.name}."))


def _listing(dataset: str, profiles: list[ProfileRecord]) -> RenderableType:
    if not profiles:
        return Text(f"There is no named profile for {dataset}. Keep one: movierec profiles save")
    names = ("Name", "Ratings", "Known", "Changed")
    rows = (
        (
            Text(profile.name), number(len(profile.ratings)), Text(_known(profile)),
            moment(profile.changed_at),
        )
        for profile in profiles
    )  # fmt: skip
    return table(f"Profiles for {escape(dataset)}", *names, right=("Ratings",), rows=rows)


def _shown(profile: ProfileRecord, titles: dict[str, str]) -> RenderableType:
    known = _known(profile)
    title = f"Profile {escape(profile.name)}"
    rows = (
        (Text(movie), Text(titles.get(movie, "–")), f"{stars:g}")
        for movie, stars in profile.ratings.items()
    )
    drawn = table(title, "Movie", "Title", "Stars", right=("Stars",), rows=rows)
    return Group(drawn, *([Text(known)] if known else []))


def _known(profile: ProfileRecord) -> str:
    return ", ".join(f"{name} {value}" for name, value in profile.features.items())
