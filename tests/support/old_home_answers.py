"""What is asked about the old home, and how two answers are told apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.program import Said, run

__all__ = ["ANSWERS", "QUESTIONS", "answer", "differences"]

ANSWERS = Path(__file__).parents[1] / "data" / "old_home.json"
VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.5.0", "v1.7.0")

# each prints JSON and changes nothing
QUESTIONS: dict[str, tuple[str, ...]] = {
    "data list": ("data", "list"),
    "data show": ("data", "show", "tiny"),
    "versions list --tag": ("versions", "list", "--tag=good"),
    "versions trash": ("versions", "trash"),
    "versions history": ("versions", "history"),
    "runs list": ("runs", "list"),
    "sweeps list": ("sweeps", "list"),
    "sweeps show": ("sweeps", "show", "small"),
    "feedback list": ("feedback", "list"),
    "feedback rates": ("feedback", "rates"),
    "profiles list": ("profiles", "list"),
    "profiles show": ("profiles", "show", "Ada"),
    "compare": ("compare", "v1.0.0", "v1.1.0", "v1.2.0"),
    "compare incomparable": ("compare", "v1.0.0", "v1.7.0"),
    "compare measured together": ("compare", "v1.0.0", "v1.6.0"),
    **{f"versions show {name}": ("versions", "show", name) for name in VERSIONS},
    **{f"versions card {name}": ("versions", "card", name) for name in ("v1.1.0", "v1.2.0")},
    **{f"runs show {number}": ("runs", "show", str(number)) for number in (1, 3, 12, 13)},
    **{f"evaluate {name}": ("evaluate", name) for name in ("v1.1.0", "v1.2.0", "v1.7.0")},
    **{
        f"recommend {name}": ("recommend", "--user=u5", "--why", "--k=5", f"--version={name}")
        for name in VERSIONS
    },
    **{
        f"newcomer {name}": (
            "recommend", "--ratings=source/newcomer.csv", "--why", "--k=5", f"--version={name}"
        )
        for name in ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0")
    },
    "recommend by rating": (
        "recommend", "--user=u5", "--by=rating", "--diversity=0.3", "--genre=Drama",
        "--year-from=1940", "--min-ratings=3", "--include-seen",
    ),
    "newcomer in graph": ("recommend", "--ratings=source/newcomer.csv", "--in-graph"),
    **{f"similar {name}": ("similar", "m3", f"--version={name}") for name in ("v1.1.0", "v1.3.0")},
}  # fmt: skip


def answer(home: Path, question: tuple[str, ...]) -> Any:
    """Return what a command prints as JSON, with `<home>` where the home's path stands."""
    said = run(home, *question, "--json")
    return Said(said.code, said.out.replace(str(home), "<home>"), said.err).facts


def differences(stored: Any, found: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Yield what is not as it was stored; keys that are new are no difference.

    Numbers may differ by `tolerance`, relative, or absolute where they are less than 1.
    """
    if isinstance(stored, dict) and isinstance(found, dict):
        for key, value in stored.items():
            here = f"{where}.{key}"
            if key not in found:
                yield f"{here} is missing"
            else:
                yield from differences(value, found[key], tolerance, here)
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for place, (one, other) in enumerate(zip(stored, found, strict=True)):
            yield from differences(one, other, tolerance, f"{where}[{place}]")
    elif not _same(stored, found, tolerance):
        yield f"{where} was {_short(stored)} and is {_short(found)}"


def _same(stored: Any, found: Any, tolerance: float) -> bool:
    if isinstance(stored, float) and isinstance(found, float | int):
        return math.isclose(stored, found, rel_tol=tolerance, abs_tol=tolerance)
    return type(stored) is type(found) and stored == found


def _short(value: Any) -> str:
    return json.dumps(value)[:200]
