"""`movierec feedback`: what people say of recommendations, how it goes, and training with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from movierec.cli.options import DataOption, JsonOption
from movierec.cli.output import emit, moment, number, table
from movierec.cli.versions.tables import opened
from movierec.errors import DataError
from movierec.registry import Registry
from movierec.settings import load_settings
from movierec.store import FeedbackRecord, open_store

__all__ = ["app"]

app = typer.Typer(
    name="feedback",
    help="Give, list and take back thumbs, measure versions by them, join them to a data set.",
    no_args_is_help=True,
)

UserArgument = Annotated[str, typer.Argument(help="Id of the user.")]
MovieArgument = Annotated[str, typer.Argument(help="Id of the movie.")]


@app.command("list")
def list_(
    data: Annotated[str | None, typer.Option(help="Only of this data set.")] = None,
    version: Annotated[
        list[str] | None, typer.Option(help="Only on lists of this version; repeatable.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    last: Annotated[int | None, typer.Option("-n", "--last", min=1, help="Only so many.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List thumbs, newest first."""
    with open_store(load_settings()) as store:
        fingerprint = None if data is None else store.datasets.get(data).fingerprint
        found = store.feedback.list(fingerprint, version)
        names = {record.fingerprint: record.name for record in store.datasets.list()}
    chosen = [thumb for thumb in found if user is None or thumb.user_id == user][:last]
    emit(as_json, chosen, lambda: _listing(chosen, names))


@app.command()
def add(
    user: UserArgument,
    movie: MovieArgument,
    liked: Annotated[bool, typer.Option("--liked/--disliked", help="Thumb up or down.")],
    version: Annotated[str, typer.Option(help="Which version recommended it.")] = "current",
    rank: Annotated[int | None, typer.Option(min=1, help="Its place in the list.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a thumb, in place of an earlier one of this user on this movie."""
    from movierec.data.catalogue import usable_id
    from movierec.inference.load import data_of

    with opened() as (registry, store):
        record = registry.get(version)
        dataset = data_of(store, record)
        dataset.movies.index(movie)
        if not usable_id(user):
            raise DataError(
                f"{user[:80]!r} cannot be the id of a user.",
                hint="Use 1 to 255 characters without line breaks.",
            )
        thumb = store.feedback.add(
            version=record.name, dataset=dataset.fingerprint, user_id=user, movie_id=movie,
            is_liked=liked, rank=rank, source="cli",
        )  # fmt: skip
    text = f"{user}'s thumb {_direction(thumb)} on movie {movie} counts for {record.name}."
    emit(as_json, thumb, lambda: Text(text))


@app.command()
def remove(
    user: UserArgument, movie: MovieArgument, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Take a thumb back."""
    with open_store(load_settings()) as store:
        record = store.datasets.get(data)
        given = store.feedback.of_user(record.fingerprint, user)
        there = any(thumb.movie_id == movie for thumb in given)
        store.feedback.remove(record.fingerprint, user, movie)
    facts = {"dataset": record.name, "user_id": user, "movie_id": movie, "removed": there}
    outcome = "is taken back" if there else "was not there"
    emit(as_json, facts, lambda: Text(f"The thumb of {user} on movie {movie} {outcome}."))


@app.command()
def rates(
    versions: Annotated[
        list[str] | None, typer.Argument(help="Which; default: all that served a list.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Which one the others are compared with; default: the first.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which share of the thumbs is up, by version and over time, and how sure that is."""
    from movierec.comparison.online import measure_online

    with opened() as (registry, store):
        ever = store.versions.names_ever()  # a version that was deleted keeps its thumbs
        names = [_named(name, registry, ever) for name in versions] if versions else None
        first = None if baseline is None else _named(baseline, registry, ever)
        thumbs, served = store.feedback.list(versions=names), store.served.by_day(names)
    found = measure_online(thumbs, served, names, first)
    emit(as_json, _rate_facts(found), lambda: _rates(found))


@app.command()
def join(
    data: Annotated[
        str | None, typer.Argument(help="Which data set's feedback; default: the newest.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new data set; default: the old one's +thumbs.")
    ] = None,
    liked: Annotated[float | None, typer.Option(help="Stars of a thumb up.")] = None,
    disliked: Annotated[float | None, typer.Option(help="Stars of a thumb down.")] = None,
    profiles: Annotated[
        bool, typer.Option("--profiles/--no-profiles", help="Named profiles as users, too.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Make a new data set of a data set's ratings, its thumbs and its named profiles."""
    from movierec.workflows.feedback import join_feedback

    found = join_feedback(
        load_settings(), data, name, liked=liked, disliked=disliked, profiles=profiles
    )
    record = found.imported.record
    facts = {
        "dataset": record.name, "fingerprint": record.fingerprint,
        "already_there": found.imported.already_there, "thumbs": found.thumbs,
        "profile_ratings": found.profile_ratings, "new_users": found.new_users,
        "ratings": record.n_ratings,
        "dropped": [asdict(rows) for rows in found.imported.report.dropped],
    }  # fmt: skip
    emit(as_json, facts, lambda: _joined(found))


def _named(name: str, registry: Registry, ever: Sequence[str]) -> str:
    return name if name in ever else registry.get(name).name


def _direction(thumb: FeedbackRecord) -> str:
    return "up" if thumb.is_liked else "down"


def _listing(thumbs: list[FeedbackRecord], names: dict[str, str]) -> RenderableType:
    if not thumbs:
        return "There is no such thumb. Give one: movierec feedback add"
    columns = ("Number", "When", "User", "Movie", "Thumb", "Version", "Rank", "Data set", "Through")
    rows = (
        (
            str(thumb.id), moment(thumb.at), Text(thumb.user_id), Text(thumb.movie_id),
            _direction(thumb), thumb.version, number(thumb.rank),
            Text(names.get(thumb.fingerprint, thumb.fingerprint[:12])), thumb.source,
        )
        for thumb in thumbs
    )  # fmt: skip
    return table("Thumbs", *columns, right=("Number", "Rank"), rows=rows)


def _rate_facts(found: Any) -> dict[str, Any]:
    return {
        "headline": found.headline,
        "rates": list(found.rates.values()),
        "gaps": [asdict(gap) | {"sentence": gap.sentence} for gap in found.gaps.values()],
        "span": found.span,
        "periods": [
            {"start": period.start.isoformat(), **asdict(period.rate)}
            for periods in found.periods.values()
            for period in periods
        ],
    }


def _rates(found: Any) -> RenderableType:
    from movierec.comparison.online_results import share_text

    names = ("Lists", "Thumbs", "Users", "Up", "Share", "95\u00a0%\u00a0interval")
    drawn = table("Thumbs by version", "Version", *names, right=names)
    for rate in found.rates.values():
        ends = f"{share_text(rate.low)} to {share_text(rate.high)}" if rate.thumbs else "–"
        counts = (rate.lists, rate.thumbs, rate.users, rate.liked)
        drawn.add_row(rate.version, *map(number, counts), share_text(rate.share), ends)
    gaps = found.gaps.values() if len(found.gaps) > 1 else ()
    sentences = [Text(f"{gap.sentence}.") for gap in gaps]
    head = Text(f"{found.headline}.", style="bold")
    return Group(head, *sentences, *([drawn] if found.rates else []))


def _joined(found: Any) -> RenderableType:
    record = found.imported.record
    if found.imported.already_there:
        return Text(f"The same data was there already, as {record.name!r}.")
    lines: list[RenderableType] = [
        Text(
            f"{record.name}: {record.n_ratings:,} ratings by {record.n_users:,} users. Thumbs "
            f"joined: {found.thumbs:,}, ratings of profiles: {found.profile_ratings:,}, new "
            f"users: {found.new_users:,}."
        ),
        *(Text(f"Left out: {rows}") for rows in found.imported.report.dropped),
        f"Train on it: movierec train --dataset {escape(repr(record.name))}",
    ]
    return Group(*lines)
