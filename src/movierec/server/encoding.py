"""Answers as bytes, and the cache of the last ones."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias

from movierec.inference.results import Explanation, Recommendation
from movierec.plain import plain_dict

__all__ = ["Answer", "AnswerCache", "encoded", "explained", "lines_of"]

MOST, MOST_BYTES = 10_000, 64 * 2**20

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The bytes of an answer, and what the metrics count of it."""

    body: bytes
    version: str
    reason: str
    predicted: tuple[float | None, ...] = ()


class _Key(Protocol):
    def __hash__(self) -> int: ...


class AnswerCache:
    """The answers given last, at most 10,000 and 64 MiB; a key holds the version's mark."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._answers: OrderedDict[_Key, Answer] = OrderedDict()
        self.bytes = self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: _Key) -> Answer | None:
        """Return a kept answer."""
        found = self._answers.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._answers.move_to_end(key)
        return found

    def keep(self, key: _Key, answer: Answer) -> Answer:
        """Keep an answer, and drop the least recently used ones where there are too many."""
        before = self._answers.pop(key, None)
        self._answers[key] = answer
        self.bytes += len(answer.body) - (len(before.body) if before else 0)
        while len(self._answers) > self._most or self.bytes > self._most_bytes:
            self.bytes -= len(self._answers.popitem(last=False)[1].body)
        return answer


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return JSON without spaces; nothing in it may be NaN or infinite."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace")  # a lone surrogate has no bytes


def lines_of(lines: Sequence[Recommendation], *, distribution: bool) -> list[Json]:
    """Return the lines of a list's answer."""
    found: list[Json] = [
        {
            "rank": line.rank,
            "movie": line.movie_id,
            "title": line.title,
            "year": line.year,
            "genres": line.genres,
            "score": line.score,
            "predicted_rating": line.predicted_rating,
            "version": line.version,
        }
        for line in lines
    ]
    if distribution:
        for facts, line in zip(found, lines, strict=True):
            facts["distribution"] = line.distribution
    return found


def explained(explanation: Explanation) -> Json:
    """Return the answer of an explanation: ids without `_id`, shares by genre."""
    facts = plain_dict(asdict(explanation))
    facts["user"], facts["movie"] = facts.pop("user_id"), facts.pop("movie_id")
    facts["shared_genres"] = dict(explanation.shared_genres)
    for cause in (*facts["causes"], *facts["against"]):
        cause["movie"] = cause.pop("movie_id")
    return facts
