"""What a version should not be used for, and what nobody has measured of it."""

from __future__ import annotations

from collections.abc import Iterator

from movierec.export.markdown import plain_text
from movierec.metadata import EvaluationSummary, VersionMetadata
from movierec.store import DatasetRecord, VersionRecord

__all__ = ["limits"]

_BY_TIME = ("temporal", "leave-last-n")


def limits(record: VersionRecord, data: DatasetRecord | None) -> str:
    """Return the limits as a Markdown list."""
    return "\n".join(f"- {line}" for line in _lines(record, data))


def _lines(record: VersionRecord, data: DatasetRecord | None) -> Iterator[str]:
    facts = record.metadata
    yield (
        "It suggests movies to the users of its data set. It is not made for decisions about "
        "people, for judging movies, or for other things than movies."
    )
    yield _age(data)
    yield _newcomers(record)
    yield from _split(facts)
    yield from _unmeasured(facts.evaluation)
    yield (
        "The protocol `rated` ranks only movies that a user went on to rate; it is easy, and its "
        "numbers mean something only beside the baselines."
    )
    yield (
        "Ratings are not clicks: whether people like the lists, and what showing them does to "
        "later ratings, was not measured. Neither was fairness beyond the groups above."
    )


def _age(data: DatasetRecord | None) -> str:
    last = str(data.report.get("last_rating") or "")[:10] if data else ""
    if not last:
        return "How old its ratings are is not known here; it knows no movie that came later."
    return f"Its newest rating is of {last}: it knows nothing that came later."


def _newcomers(record: VersionRecord) -> str:
    users = record.metadata.num_users_trained
    known = f"It has learnt from {users:,} users. " if users else ""
    return (
        f"{known}Someone whom the data set does not know gets the most popular movies; a known "
        "user without ratings gets what the model makes of age, gender and occupation where it "
        "uses them, or else the same."
    )


def _split(facts: VersionMetadata) -> Iterator[str]:
    name = facts.split.name
    if name == "cold-users":
        yield "It was measured on users whom it had never met; known users were not measured."
    elif name and name not in _BY_TIME:
        yield (
            f"The test part of the split {plain_text(name)} is from the same time as the train "
            "part: how well it does on later ratings was not measured."
        )


def _unmeasured(evaluation: EvaluationSummary) -> Iterator[str]:
    if evaluation.rmse is None:
        yield "It ranks only and predicts no ratings: RMSE and MAE were not measured."
    left_out = _left_out(evaluation)
    if left_out:
        yield (
            f"{left_out:,} test users have no test movie of 4 stars or more and are left out of "
            "the means that ask for one."
        )


def _left_out(evaluation: EvaluationSummary) -> int:
    every, some = (protocol.get("users") or 0 for protocol in (evaluation.full, evaluation.rated))
    return int(every - some)
