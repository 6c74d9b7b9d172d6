"""The ratings of a data set as frames and figures. No Streamlit, no state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from movierec.columns import Columns
from movierec.data.aggregates import Aggregates, GroupStatistics, aggregates_of, level_counts
from movierec.data.dataset import Dataset, IntArray
from movierec.ui.components.charts import REFERENCE, finish, mark, row_of, thin
from movierec.ui.components.text import integer, percent
from movierec.ui.components.theme import NEUTRAL

__all__ = [
    "by_month",
    "concentration",
    "filter_movies",
    "filter_users",
    "genres_of",
    "level_shares",
    "movie_table",
    "rating_distribution",
    "ratings_over_time",
    "share_held_by_top",
    "stars",
    "user_history",
    "user_table",
]


def level_shares(
    dataset: Dataset,
    ratings: npt.NDArray[np.float32] | None = None,
    told: Aggregates | None = None,
) -> pd.DataFrame:
    """Count each level of the scale: columns `level` (stars), `count`, `share` (0–1).

    `ratings`: those to count, (n,); all of the data set's when left out. `told`, here and below:
    the data set's aggregates, where they are at hand.
    """
    scale = dataset.scale
    if ratings is None:
        counts = (told or aggregates_of(dataset)).levels
    else:
        counts = level_counts(scale, ratings)
    shares = counts / max(1, counts.sum())
    return pd.DataFrame({"level": scale.levels, "count": counts, "share": shares})


def by_month(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame | None:
    """Count ratings per calendar month (UTC), months without any included.

    Returns columns `start` (datetime) and `count`, or None when the data set has no times.
    """
    if dataset.ratings.timestamp is None:
        return None
    told = told or aggregates_of(dataset)
    months = told.first_month + np.arange(len(told.months))
    start = months.astype("datetime64[M]").astype("datetime64[s]")
    return pd.DataFrame({"start": start, "count": told.months})


def movie_table(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame:
    """One row per movie: id, title, year, genres, `ratings`, `mean` and `spread` in stars.

    `mean` is NaN without a rating, `spread` (sample standard deviation) with fewer than two.
    """
    return _movie_facts(dataset).assign(**_spread((told or aggregates_of(dataset)).movie))


def user_table(dataset: Dataset, told: Aggregates | None = None) -> pd.DataFrame:
    """One row per user: id and the profile columns there are, `ratings`, `mean`, `spread`."""
    table = dataset.user_frame.reset_index(drop=True)
    return table.assign(**_spread((told or aggregates_of(dataset)).user))


def genres_of(movies: pd.DataFrame) -> list[str]:
    """Every genre in a movie table, in alphabetical order."""
    names = movies[Columns.GENRES].str.split("|").explode()
    return sorted(name for name in names.unique() if name)


def filter_movies(movies: pd.DataFrame, search: str, genres: list[str]) -> pd.DataFrame:
    """Keep movies whose title holds every word of `search` and that have all of `genres`."""
    keep = pd.Series(True, index=movies.index)
    title = movies[Columns.TITLE].str.casefold()
    for word in search.casefold().split():
        keep &= title.str.contains(word, regex=False)
    listed = "|" + movies[Columns.GENRES] + "|"
    for genre in genres:
        keep &= listed.str.contains(f"|{genre}|", regex=False)
    return movies.loc[keep]


def filter_users(users: pd.DataFrame, search: str) -> pd.DataFrame:
    """Keep users that have every word of `search` in their id or occupation."""
    text = users[Columns.USER].astype(str)
    if Columns.OCCUPATION in users:
        text = text + " " + users[Columns.OCCUPATION].astype("str").fillna("")
    keep = pd.Series(True, index=users.index)
    for word in search.casefold().split():
        keep &= text.str.casefold().str.contains(word, regex=False)
    return users.loc[keep]


def user_history(dataset: Dataset, user: int) -> pd.DataFrame:
    """One user's ratings, newest first where there are times: title, year, genres, rating, date."""
    ratings = dataset.ratings.take(dataset.by_user.positions(user))
    history = _movie_facts(dataset, ratings.movie)
    history = history.drop(columns=Columns.MOVIE).assign(**{Columns.RATING: ratings.rating})
    if ratings.timestamp is None:
        return history
    history[Columns.TIMESTAMP] = pd.to_datetime(ratings.timestamp, unit="s")
    return history.sort_values(Columns.TIMESTAMP, ascending=False, kind="stable", ignore_index=True)


def _movie_facts(dataset: Dataset, movies: IntArray | None = None) -> pd.DataFrame:
    """Return what is known of some movies; of all by default."""
    frame, titles = dataset.movie_frame, dataset.titles
    if movies is not None:
        frame, titles = frame.iloc[movies], [titles[movie] for movie in movies.tolist()]
    facts = frame.reindex(columns=list(Columns.MOVIES)).reset_index(drop=True)
    facts[Columns.GENRES] = facts[Columns.GENRES].astype("str").fillna("")
    return facts.assign(**{Columns.TITLE: titles})


def _spread(side: GroupStatistics) -> dict[str, npt.NDArray[Any]]:
    return {"ratings": side.count, "mean": side.mean, "spread": side.spread}


def rating_distribution(
    shares: pd.DataFrame, reference: pd.DataFrame | None = None, *, of: str = "all ratings"
) -> go.Figure:
    """Draw the share of each rating level as bars.

    Args:
        shares: columns `level` (stars), `count`, `share` (0–1).
        reference: the same columns for everybody, drawn as marks to compare with.
        of: what the ratings belong to, for the title.

    """
    top = row_of(shares, shares["count"].argmax())
    title = f"{stars(top['level'])} is the most common rating: {percent(top['share'])} of {of}"
    figure = go.Figure(
        go.Bar(
            x=shares["level"],
            y=100 * shares["share"],
            customdata=shares["count"],
            name="these ratings",
            hovertemplate="%{x} stars: %{y:.1f} % (%{customdata:,} ratings)<extra></extra>",
        )
    )
    if reference is not None:
        figure.add_scatter(
            x=reference["level"],
            y=100 * reference["share"],
            mode="markers",
            name="whole data set",
            marker={"symbol": "line-ew-open", "size": 26, "color": NEUTRAL, "line": {"width": 3}},
            hovertemplate="whole data set, %{x} stars: %{y:.1f} %<extra></extra>",
        )
    figure.update_layout(bargap=0.25, showlegend=reference is not None)
    if len(shares) <= 11:
        figure.update_xaxes(tickvals=shares["level"])
    alt = "Bars per rating: " + ", ".join(
        f"{level:g} stars {percent(share)}"
        for level, share in zip(shares["level"], shares["share"], strict=True)
    )
    return finish(figure, title, alt, x="rating (stars)", y="share of ratings (%)")


def ratings_over_time(counts: pd.DataFrame) -> go.Figure:
    """Draw how many ratings were given in each period; columns `start` (datetime), `count`."""
    peak = row_of(counts, counts["count"].argmax())
    total = int(counts["count"].sum())
    title = (
        f"{peak['start']:%B %Y} was the busiest month: "
        f"{percent(peak['count'] / total)} of all ratings"
    )
    figure = go.Figure(
        go.Bar(
            x=counts["start"],
            y=counts["count"],
            hovertemplate="%{x|%b %Y}: %{y:,} ratings<extra></extra>",
        )
    )
    figure.update_layout(bargap=0.15, showlegend=False)
    first, last = counts["start"].iloc[0], counts["start"].iloc[-1]
    alt = (
        f"Ratings per month from {first:%B %Y} to {last:%B %Y}; most, "
        f"{integer(peak['count'])}, in {peak['start']:%B %Y}."
    )
    return finish(figure, title, alt, x="month (UTC)", y="ratings per month")


def share_held_by_top(counts: npt.NDArray[np.int64], top: float) -> float:
    """Return the share of all ratings that the most rated `top` share of them holds, 0–1."""
    ordered = np.sort(counts)[::-1]
    taken = max(1, round(top * len(ordered)))
    return float(ordered[:taken].sum() / max(1, ordered.sum()))


def concentration(
    counts: npt.NDArray[np.int64], *, noun: str, most: str, top: float = 0.1
) -> go.Figure:
    """Draw which share of the ratings the busiest share of users or movies holds.

    A Lorenz curve read from the busy end. `counts`: ratings per user or movie, (n,).
    """
    ordered = np.sort(counts)[::-1]
    held = np.concatenate([[0.0], np.cumsum(ordered) / max(1, ordered.sum())])
    place = np.linspace(0, 1, len(held))
    keep = thin(len(held))
    share = share_held_by_top(counts, top)
    title = f"The {most} {percent(top, 0)} of {noun} hold {percent(share, 0)} of the ratings"
    figure = go.Figure(
        go.Scatter(
            x=100 * place[keep],
            y=100 * held[keep],
            mode="lines",
            fill="tozeroy",
            name=noun,
            hovertemplate=f"%{{x:.1f}} % of {noun}: %{{y:.1f}} % of ratings<extra></extra>",
        )
    )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="if all were equal",
        line=REFERENCE,
        hoverinfo="skip",
    )
    label = f"{percent(top, 0)} → {percent(share, 0)}"
    mark(figure, 100 * top, 100 * share, label, "bottom right")
    figure.update_layout(showlegend=True)
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 104])
    alt = f"{title}; the least busy half hold {percent(1 - share_held_by_top(counts, 0.5))}."
    return finish(
        figure, title, alt, x=f"share of {noun}, {most} first (%)", y="share of ratings (%)"
    )


def stars(level: float) -> str:
    """Return "4 stars" for 4.0 and "1 star" for 1.0."""
    return f"{level:g} star" + ("" if level == 1 else "s")
