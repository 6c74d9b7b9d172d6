"""The one place where column names live."""

from __future__ import annotations

__all__ = ["Columns"]


class Columns:
    """Names of the columns of every frame that crosses a room's door.

    Ids are strings outside (`USER`, `MOVIE`) and integers 0…n-1 inside (`USER_INDEX`,
    `MOVIE_INDEX`). `POSITION` is the row's place in the source file, from 0.
    """

    USER = "user_id"
    MOVIE = "movie_id"
    RATING = "rating"
    TIMESTAMP = "timestamp"  # seconds since 1970-01-01 UTC

    POSITION = "position"
    USER_INDEX = "user_index"
    MOVIE_INDEX = "movie_index"

    TITLE = "title"
    YEAR = "year"  # of release; NaN when unknown
    GENRES = "genres"  # joined by "|"; empty when unknown
    AGE = "age"  # years; NaN when unknown
    GENDER = "gender"
    OCCUPATION = "occupation"
    ZIP_CODE = "zip_code"

    INTERACTIONS = (USER, MOVIE, RATING, TIMESTAMP)
    USERS = (USER, AGE, GENDER, OCCUPATION, ZIP_CODE)
    MOVIES = (MOVIE, TITLE, YEAR, GENRES)
