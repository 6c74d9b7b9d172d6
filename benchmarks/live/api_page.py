"""What was measured of the API, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from live.page import table, where

__all__ = ["page"]

_INTRODUCTION = (
    "`movierec serve` as one process on one core (`taskset`), asked from the other core over "
    "loopback by a client of this benchmark's own (asyncio with uvloop and httptools); each "
    "connection asks again as soon as it is answered, so the times hold the wait behind the "
    "others. The bare server is the same uvicorn that answers 17 fixed bytes, measured before and "
    "after in the same run. MovieLens 100K."
)
_NAMES = {
    "bare": "bare server", "lists": "`/recommend`, k = 10", "mixed": "everything mixed",
    "bare again": "bare server again",
}  # fmt: skip


def page(report: Mapping[str, Any]) -> str:
    """Return Markdown of the parts that were measured."""
    parts = report["parts"]
    sections = (("start", _start), ("load", _load), ("swap", _swap), ("soak", _soak))
    lines = ["# The REST API under load", "", _INTRODUCTION]
    for name, section in sections:
        if name in parts:
            lines += ["", *section(parts[name]["found"]), "", *where(parts[name]["run"])]
    return "\n".join(lines) + "\n"


def _start(found: Mapping[str, Any]) -> list[str]:
    each = found["seconds"]
    text = f"{each['median']:.2f} s (median of {each['count']}, most {each['max']:.2f})"
    return ["## From start to first list", "", f"{text}; aim: 1 s, at most 2."]


def _load(found: Mapping[str, Any]) -> list[str]:
    bare = (found["bare"]["per_second"] + found["bare again"]["per_second"]) / 2
    rows = [
        [name, f"{found[key]['per_second']:,.0f}", f"{found[key]['per_second'] / bare:.0%}",
         *_milli(found[key]), f"{found[key]['errors']}", _memory(found[key])]
        for key, name in _NAMES.items()
    ]  # fmt: skip
    head = ["asked", "a second", "of the bare", "p50", "p95", "p99", "errors", "MB before, after"]
    note = (
        f"{found['connections']} connections, {found['users']} users by chance, milliseconds. "
        "Mixed: 80 % lists, 10 % similar movies, 5 % scores of 20 movies, 4 % newcomers with ten "
        "ratings, 1 % explanations. Aim: 2,000 lists a second, at least 500."
    )
    return ["## Load", "", *table(head, rows), "", note]


def _swap(found: Mapping[str, Any]) -> list[str]:
    shares = ", ".join(f"{n:,} by {name}" for name, n in found["answers by version"].items())
    return [
        "## While versions change", "",
        f"`movierec versions promote` and `rollback` {found['swaps']} times during "
        f"{found['requests']:,} lists ({found['per_second']:,.0f} a second): {shares}. Failed "
        f"requests: {found['errors']}. Lists that were not wholly those of the version they name: "
        f"{found['wrong']}. p50 {found['ms']['p50']} ms, p99 {found['ms']['p99']}, most "
        f"{found['ms']['max']}. Swaps that the command line refused: {len(found['failed swaps'])}.",
    ]  # fmt: skip


def _soak(found: Mapping[str, Any]) -> list[str]:
    growth = found["last minute"] - found["second minute"]
    return [
        "## Memory", "",
        f"{found['seconds'] / 60:.0f} minutes of everything mixed, {found['requests']:,} requests "
        f"({found['per_second']:,.0f} a second), {found['errors']} errors: "
        f"{found['second minute']:.1f} MB in the second minute, {found['last minute']:.1f} in the "
        f"last ({growth:+.1f}).",
    ]  # fmt: skip


def _milli(each: Mapping[str, Any]) -> list[str]:
    return [f"{each['ms'][name]:.1f}" for name in ("p50", "p95", "p99")]


def _memory(each: Mapping[str, Any]) -> str:
    return ", ".join(f"{value:.0f}" for value in each.get("megabytes", [])) or "–"
