"""The page of `benchmarks/serving.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from live.page import table, where

__all__ = ["page"]

INTRODUCTION = (
    "One process, a version of the preset `default` on MovieLens 100K, top 10, milliseconds. No "
    "answer comes from a cache of answers. What stands in one table was measured in one run; CPU "
    "is the time that was computed, which does not grow with what else the machine does while the "
    "other columns do."
)
KEYS = ("p50", "p95", "p99", "max", "cpu_p50", "cpu_p99")
HEAD = ["", "times", "median", "p95", "p99", "most", "CPU median", "CPU p99"]


def page(report: Mapping[str, Any]) -> str:
    """Return the whole page as Markdown; a part that was not measured is left out."""
    parts = report["parts"]
    lines = ["# A version's answers", "", INTRODUCTION]
    for name, section in SECTIONS.items():
        if name in parts:
            lines += ["", *section(parts[name]["found"]), "", *where(parts[name]["run"])]
    return "\n".join(lines) + "\n"


def _known(found: Mapping[str, Any]) -> list[str]:
    note = "Every user in turn. Must: median 1, p99 5; aim: median 0.2."
    rows = [_row(way, spread) for way, spread in found.items()]
    return ["## One known user", "", *table(HEAD, rows), "", note]


def _newcomer(found: Mapping[str, Any]) -> list[str]:
    note = "From ten ratings to the list. Must: p95 20; aim: 5."
    return ["## A newcomer with ten ratings", "", *table(HEAD, [_row("list", found)]), "", note]


def _explain(found: Mapping[str, Any]) -> list[str]:
    rows = [_row("reason", found)]
    return ["## Why the first movie of a list is there", "", *table(HEAD, rows)]


def _everybody(found: Mapping[str, Any]) -> list[str]:
    rows = []
    for mode, each in found["modes"].items():
        for name, spread in each["milliseconds"].items():
            faster = each["faster"].get(name)
            ratios = ["–", "–"] if faster is None else [f"{each:.1f}" for each in faster]
            numbers = [f"{spread[key]:.1f}" for key in ("p50", "max", "cpu_p50")]
            rows.append([mode, name, *numbers, *ratios])
    head = ["threads", "what", "median", "most", "CPU median", "times as fast", "by CPU"]
    note = (
        "implicit's `recommend` with its filter of what is known, on the vectors the version ranks "
        "by; the three take turns, and the ratios are medians over the turns. Both name the same "
        f"movies in the same order for {found['same_lists']:.1%} of the users. Must: 100 for all; "
        "aim: faster than implicit."
    )
    return ["## All 943 users", "", *table(head, rows), "", note]


def _start(found: Mapping[str, Any]) -> list[str]:
    rows = [_row(name, spread) for name, spread in found.items()]
    return ["## A new process, from its beginning to its first answer", "", *table(HEAD, rows)]


def _files(found: Mapping[str, Any]) -> list[str]:
    rows = [[*_row(f"`{name}`", each), f"{each['kilobytes']:,}"] for name, each in found.items()]
    return ["## All 943 users as a file", "", *table([*HEAD, "kB"], rows)]


SECTIONS = {
    "known": _known, "all": _everybody, "newcomer": _newcomer, "explain": _explain,
    "start": _start, "files": _files,
}  # fmt: skip


def _row(name: str, spread: Mapping[str, float]) -> list[str]:
    numbers = [f"{spread[key]:,.2f}" for key in KEYS]
    return [name, f"{spread['count']:,.0f}", *numbers]
