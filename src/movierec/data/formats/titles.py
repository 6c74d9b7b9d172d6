"""Titles and years, genres: brought to one form whatever the source."""

from __future__ import annotations

import pandas as pd

__all__ = ["NO_GENRES", "join_genres", "split_titles", "years_of"]

NO_GENRES = ("(no genres listed)", "unknown")
FIRST_YEAR, LAST_YEAR = 1870, 2100  # the oldest film kept is of 1878
# "Seven (1995)", "The Office (2005–2013)", "Land Before Time III (1995) (V)" (for video)
_TITLE = r"^(?P<title>.*?)\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*(?:\(T?V\))?$"


def split_titles(titles: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return titles without the year at their end, and the years (NaN where there is none)."""
    stripped = titles.fillna("").astype(str).str.strip()
    parts = stripped.str.extract(_TITLE)
    years = years_of(parts["year"])
    bare = parts["title"].where(years.notna() & (parts["title"] != ""), stripped)
    return bare, years


def years_of(texts: pd.Series) -> pd.Series:
    """Return years as floats; NaN for what is no year of film."""
    years = pd.to_numeric(texts, errors="coerce").astype(float)
    return years.where(years.between(FIRST_YEAR, LAST_YEAR))


def join_genres(genres: pd.Series, separator: str = "|") -> pd.Series:
    """Return genres joined by "|"; empty where the source says that it knows none."""
    texts = genres.fillna("").astype(str).str.strip()
    texts = texts.mask(texts.isin(NO_GENRES), "")
    return texts if separator == "|" else texts.str.split().str.join("|")
