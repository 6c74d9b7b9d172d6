"""The measured parts of docs/SCALE.md, each between two marks; the text around them is typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from live.page import table
from live.scale_cells import gib, number, ratio, seconds
from live.scale_limits import costs, room
from live.scale_plan import plan
from movierec.benchmark.picture import Panel, draw_curves
from movierec.errors import SettingsError

__all__ = ["page"]

Parts = Mapping[str, Any]
Found = Mapping[str, Any]

BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = ["Not measured yet."]
PICTURE = "pictures/scale.svg"


def page(report: Mapping[str, Any], *, path: Path) -> str:
    """Return the text of a page with what was measured put in, and draw its picture beside it.

    Raises:
        SettingsError: there is no such page.

    """
    if not path.is_file():
        raise SettingsError(f"There is no page {path} to put tables into.", hint="Name another.")
    parts = report["parts"]
    _draw(parts, path.parent / PICTURE)
    blocks = {**BLOCKS, "picture": _picture if (path.parent / PICTURE).exists() else _nothing}

    def filled(block: re.Match[str]) -> str:
        lines = blocks[block[2]](parts) or NOTHING
        return f"{block[1]}\n" + "\n".join(lines) + f"\n\n{block[3]}"

    return BLOCK.sub(filled, path.read_text(encoding="utf-8"))


def _of(parts: Parts, name: str) -> list[Found]:
    """Return what was found in a part, the smallest size first."""
    found = [each["found"] for key, each in parts.items() if key.startswith(f"{name}, ")]
    return sorted(found, key=lambda each: float(each["size"]))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return table(head, rows) if rows else []


def _import(parts: Parts) -> list[str]:
    stages = list(dict.fromkeys(name for each in _of(parts, "import") for name in each["stages"]))
    opening = {each["size"]: each["seconds"] for each in _of(parts, "open")}
    head = [
        "million ratings", *(f"{name} s" for name in stages), "whole s", "ratings per s",
        "peak GiB", "files MB", "database MB", "snapshot MB", "opened again s",
    ]  # fmt: skip
    rows = [
        [
            each["size"], *(seconds(each["stages"].get(name)) for name in stages),
            seconds(each["seconds"]), f"{each['ratings'] / each['seconds']:,.0f}",
            gib(each["peak_mb"]),
            *(number(each[name]) for name in ("files_mb", "database_mb", "snapshot_mb")),
            seconds(opening.get(each["size"])),
        ]
        for each in _of(parts, "import")
    ]  # fmt: skip
    return _table(head, rows)


def _train(parts: Parts) -> list[str]:
    head = [
        "million ratings", "steps per pass", "step s", "pass s", "pass CPU s", "µs per rating",
        "× 0.1 million", "validation s", "before the first step s", "peak GiB",
    ]  # fmt: skip
    rows = [
        [
            each["size"], str(each["steps_per_pass"]), seconds(each["step"]),
            seconds(each["pass"]), seconds(each["cpu"]), f"{1e6 * each['per_rating']:.2f}",
            ratio(each.get("against_smallest")), seconds(each["validation"]),
            seconds(each["before"]), gib(each["peak_mb"]),
        ]
        for each in _of(parts, "train")
    ]  # fmt: skip
    return _table(head, rows)


def _whole(parts: Parts) -> list[str]:
    found = _of(parts, "whole")
    stages = ("load", "split", "fit", "evaluate", "export")
    head = [
        "million ratings", *(f"{name} s" for name in stages), "whole s", "test ratings", "peak GiB"
    ]  # fmt: skip
    rows = [
        [
            each["size"], *(seconds(each["stages"][name]) for name in stages),
            seconds(each["seconds"]), f"{each['test']:,}", gib(each["peak_mb"]),
        ]
        for each in found
    ]  # fmt: skip
    return _table(head, rows)


def _product(parts: Parts) -> list[str]:
    head = [
        "million ratings", "copy GB/s", "to users GB/s", "to movies GB/s", "slower one × copy",
        "index bytes", "threads",
    ]  # fmt: skip
    rows = []
    for each in _of(parts, "product"):
        speeds = [each[name]["gb_s"] for name in ("to_users", "to_movies")]
        rows.append([
            each["size"], f"{each['copy_gb_s']:.1f}", *(f"{speed:.1f}" for speed in speeds),
            ratio(min(speeds) / each["copy_gb_s"]), str(each["index_bytes"]),
            str(each["threads"]),
        ])  # fmt: skip
    return _table(head, rows)


def _accuracy(parts: Parts) -> list[str]:
    names = {"default": "GraphSAGE `default`", "biases": "biases", "svd": "SVD"}
    head = [
        "million ratings", "model", "RMSE", "of what biases leave", "epochs", "whole s", "peak GiB"
    ]  # fmt: skip
    rows = [
        [each["size"], title + _changed(each, name), *_accuracy_cells(each, each[name])]
        for each in _of(parts, "accuracy")
        for name, title in names.items()
    ]
    rows += [
        [each["size"], "best possible", f"{each['floor']:.4f}", "100 %", "–", "–", "–"]
        for each in _of(parts, "accuracy")
    ]
    return _table(head, sorted(rows, key=lambda row: float(row[0])))


def _changed(each: Found, name: str) -> str:
    """Return what differs from the preset, beside the epochs, which have a column."""
    if name != "default":
        return ""
    return "".join(f", {name} {value}" for name, value in each["changes"].items())


def _accuracy_cells(each: Found, of: Found) -> list[str]:
    if "refused" in of:
        return [f"refused: {of['refused']}", "–", "–", "–", "–"]
    known = each["biases"].get("rmse")
    share = "–" if known is None else f"{(known - of['rmse']) / (known - each['floor']):.0%}"
    epochs = str(of["epochs"]) if of["epochs"] else "–"
    numbers = [f"{of['rmse']:.4f}", share.replace("%", " %"), epochs]
    return [*numbers, seconds(of["seconds"]), gib(of["peak_mb"])]


def _pages(parts: Parts) -> list[str]:
    found = {each["size"]: each["views"] for each in _of(parts, "pages")}
    names = dict.fromkeys(name for views in found.values() for name in views)
    head = ["view", *(f"{size} million" for size in found)]
    rows = [[name, *(_opened(views.get(name)) for views in found.values())] for name in names]
    return _table(head, rows)


def _opened(view: Found | None) -> str:
    if view is None:
        return "–"
    script, drawn = view["script"], view["drawn"]
    return f"{script['median']:.2f} / {script['max']:.2f} / {drawn['median']:.2f}"


def _workers(parts: Parts) -> list[str]:
    head = ["million ratings", "workers", "s per epoch", "times as fast", "curves differ by"]
    rows = [
        [
            each["size"], str(row["workers"]), seconds(row["seconds_per_epoch"]),
            ratio(row["times_as_fast"]), f"{row['largest_difference']:.0e}",
        ]
        for each in _of(parts, "workers")
        for row in each["rows"]
    ]  # fmt: skip
    return _table(head, rows)


def _plan(parts: Parts) -> list[str]:
    fit = parts.get("fit", {}).get("found", {})
    disk = _of(parts, "import")
    return plan(fit, disk[-1]) if "seconds" in fit and disk else []


def _runs(parts: Parts) -> list[str]:
    """Return when and how each row was measured, and the machine of the last one."""
    runs: dict[tuple[str, ...], list[str]] = {}
    for name, each in parts.items():
        part, _, size = name.partition(", ")
        if size:
            runs.setdefault((part, *_told(each["run"])), []).append(size)
    rows = [[part, ", ".join(sizes), *told] for (part, *told), sizes in runs.items()]
    if not rows:
        return []
    last = [*parts.values()][-1]["run"]
    machine = last["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in last["libraries"].items())
    where = (
        f"On {machine['cpu']}, cores: {machine['cores']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}; {libraries}."
    )
    return [where, "", *table(["part", "million ratings", "date", "commit", "command"], rows)]


def _told(run: Found) -> tuple[str, str, str]:
    commit = f"`{str(run['git']['commit'])[:10]}`"
    return run["date"][:10], commit + " with changes" * run["git"]["dirty"], f"`{run['command']}`"


def _nothing(_parts: Parts) -> list[str]:
    return []


def _picture(_parts: Parts) -> list[str]:
    return [f"![Seconds and peak memory against ratings]({PICTURE})"]


def _draw(parts: Parts, path: Path) -> None:
    below = "ratings"
    lines = {
        "import": _line(_of(parts, "import"), "seconds"),
        "one pass of training": _line(_of(parts, "train"), "pass"),
        "evaluation": [
            (each["ratings"], each["stages"]["evaluate"]) for each in _of(parts, "whole")
        ],
    }
    memory = {
        "import": _line(_of(parts, "import"), "peak_mb", 1024),
        "training": _line(_of(parts, "whole"), "peak_mb", 1024),
    }
    panels = [Panel("seconds", below, lines), Panel("peak memory, GiB", below, memory)]
    if all(line for panel in panels for line in panel.lines.values()):
        draw_curves(panels, "From 0.1 million ratings up", path)


def _line(found: Iterable[Found], name: str, unit: float = 1.0) -> list[tuple[float, float]]:
    return [(each["ratings"], each[name] / unit) for each in found]


BLOCKS: Mapping[str, Callable[[Parts], list[str]]] = {
    "import": _import, "train": _train, "whole": _whole, "product": _product,
    "accuracy": _accuracy, "model": costs, "room": room, "plan": _plan, "runs": _runs,
    "pages": _pages, "workers": _workers,
}  # fmt: skip
