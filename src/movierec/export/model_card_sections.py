"""The sections of a model card: its tables of numbers, its limits, and the Markdown of both."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from movierec.comparison.metrics import BEYOND, PAIRED, Metric, values_of
from movierec.metadata import EvaluationSummary, SliceSummary, VersionMetadata
from movierec.store import DatasetRecord, VersionRecord

__all__ = [
    "certainty",
    "code_block",
    "code_span",
    "decimal",
    "limits",
    "listed",
    "markdown_table",
    "metrics",
    "plain_text",
    "slices",
]

DASH = "–"
REFERENCE_BASELINES = ("biases", "popular", "constant", "random")
FEW_RATINGS = 50  # an error over fewer says little


def listed(facts: Mapping[str, object]) -> str:
    """Return facts as a Markdown list, without those that are not known."""
    known = {name: text for name, text in facts.items() if text not in ("", None)}
    return "\n".join(f"- {plain_text(name)}: {plain_text(text)}" for name, text in known.items())


def decimal(value: object, digits: int) -> str:
    """Return a number with fixed decimals; a dash for what was not measured."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return f"{value:,.{digits}f}" if is_number else DASH


def metrics(record: VersionRecord) -> str:
    """Return the test metrics beside the reference baselines: accuracy, and what is beyond it."""
    own = values_of(record.metadata.evaluation)
    floors = record.metadata.floors
    known = {name: values_of(floors[name]) for name in REFERENCE_BASELINES if name in floors}
    if not any(math.isfinite(value) for value in own.values()):
        return "Nothing was measured."
    head = ("Metric", record.name, *known)
    accuracy, beyond = (_metric_rows(group, own, known) for group in (PAIRED, BEYOND))
    return (
        "Beside simple baselines that every model should beat, on the same split. "
        "↓ lower is better, ↑ higher.\n\n"
        f"{markdown_table(head, accuracy)}\n\n"
        f"Beyond accuracy:\n\n{markdown_table(head, beyond)}"
    )


def _metric_rows(
    group: tuple[Metric, ...], own: Mapping[str, float], floors: Mapping[str, dict[str, float]]
) -> list[list[str]]:
    return [
        [
            f"{plain_text(metric.label)} {'↓' if metric.lower_is_better else '↑'}",
            decimal(own[metric.key], metric.digits),
            *(decimal(values[metric.key], metric.digits) for values in floors.values()),
        ]
        for metric in group
    ]


def slices(record: VersionRecord) -> str:
    """Return every group of users and movies, the worst served first."""
    rows = sorted(record.metadata.slices, key=_badness)
    if not rows:
        return ""
    head = ("Group", "Value", "Users", "Ratings", "RMSE", "NDCG@10 full", "R@10 full")
    return (
        f"By RMSE; those with fewer than {FEW_RATINGS} test ratings, which say little, are last."
        f"\n\n{markdown_table(head, map(_slice_cells, rows), right=2)}"
    )


def _slice_cells(row: SliceSummary) -> list[str]:
    return [
        plain_text(row.slice), plain_text(row.value), decimal(row.users, 0),
        decimal(row.ratings, 0), decimal(row.rmse, 4), decimal(row.ndcg_at_10, 3),
        decimal(row.recall_at_10, 3),
    ]  # fmt: skip


def _badness(row: SliceSummary) -> tuple[bool, float, float]:
    is_small = (row.ratings or 0) < FEW_RATINGS
    return is_small, -(row.rmse or 0.0), row.recall_at_10 or 0.0


def certainty(record: VersionRecord) -> str:
    """Return how far the probabilities of ratings come true."""
    facts = record.metadata.evaluation.calibration
    if not facts.n:
        return "This model gives no probabilities: how sure it is was not measured."
    fitted = record.metadata.calibration
    return listed({
        "Calibration error": f"{decimal(facts.ece, 3)}, 0 where probabilities come true",
        "NLL": f"{decimal(facts.nll, 3)} nats per test rating",
        "80 % intervals": f"hold {_share(facts.coverage_80)} of the test ratings, claim "
        f"{_share(facts.claimed_80)}, are {decimal(facts.width_80, 2)} stars wide",
        "Fitted by": fitted.method,
        "Temperature": decimal(fitted.temperature, 3) if fitted.is_recorded else "",
    })  # fmt: skip


def _share(value: object) -> str:
    return f"{decimal(100 * value, 1)} %" if isinstance(value, int | float) else DASH


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


# What starts an element anywhere in a line. A colon before a word makes links and, in Streamlit,
# pictures; an underscore does something only at a word's end, an @ only at its beginning.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~$&]|(?<!\w)_|_(?!\w)|:(?=\S)|(?<!\w)@)")


def plain_text(text: object) -> str:
    """Return Markdown that shows the text as it is, on one line.

    It is meant to stand behind other text: a mark that starts a list is not escaped.
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 1) -> str:
    """Return a table of cells that are Markdown; columns from `right` on hold numbers."""
    marks = ["---" if place < right else "---:" for place in range(len(head))]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code_block(code: str, language: str) -> str:
    """Return code in a fence that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def code_span(code: object) -> str:
    """Return code within a line; a vertical bar would end a table's cell."""
    text = " ".join(str(code).split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    inner = f" {text} " if longest or not text else text
    return f"{fence}{inner}{fence}".replace("|", "\\|")
