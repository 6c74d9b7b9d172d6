"""The measured parts of docs/SCALE.md, each between two marks; the text around them is typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from live.page import table
from live.scale_fit import predicted
from live.scale_plan import plan
from movierec.errors import SettingsError
from movierec.workflows.benchmark_picture import Panel, draw_curves

__all__ = ["page"]

Parts = Mapping[str, Any]
Found = Mapping[str, Any]

BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = ["Not measured yet."]
PICTURE = "pictures/scale.svg"
GIB = (8, 16, 24, 64)
USABLE = 0.8  # of a machine's memory; the rest is the system's and its file cache
SHAPE = {"ratings": 32_000_204, "users": 200_948, "movies": 87_585}  # of MovieLens 32M
TRAIN_SHARE = 0.72  # of the ratings: the test part is a fifth, validation a tenth of the rest
PART_RATINGS = 4_000_000
STEPS = 5  # of a pass over a whole graph
MODELS = ((64, 2), (128, 2), (64, 3))
MOST_MILLION = 10_000.0


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
            each["size"], *(_seconds(each["stages"].get(name)) for name in stages),
            _seconds(each["seconds"]), f"{each['ratings'] / each['seconds']:,.0f}",
            _gib(each["peak_mb"]),
            *(_whole_number(each[name]) for name in ("files_mb", "database_mb", "snapshot_mb")),
            _seconds(opening.get(each["size"])),
        ]
        for each in _of(parts, "import")
    ]  # fmt: skip
    return _table(head, rows)


def _train(parts: Parts) -> list[str]:
    head = [
        "million ratings", "steps per pass", "step s", "pass s", "µs per rating",
        "× 0.1 million", "validation s", "before the first step s", "peak GiB",
    ]  # fmt: skip
    rows = [
        [
            each["size"], str(each["steps_per_pass"]), _seconds(each["step"]),
            _seconds(each["pass"]), f"{1e6 * each['per_rating']:.2f}",
            _ratio(each.get("against_smallest")), _seconds(each["validation"]),
            _seconds(each["before"]), _gib(each["peak_mb"]),
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
            each["size"], *(_seconds(each["stages"][name]) for name in stages),
            _seconds(each["seconds"]), f"{each['test']:,}", _gib(each["peak_mb"]),
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
            _ratio(min(speeds) / each["copy_gb_s"]), str(each["index_bytes"]),
            str(each["threads"]),
        ])  # fmt: skip
    return _table(head, rows)


def _accuracy(parts: Parts) -> list[str]:
    names = {"default": "GraphSAGE `default`", "biases": "biases", "svd": "SVD"}
    head = [
        "million ratings", "model", "RMSE", "of what biases leave", "epochs", "whole s", "peak GiB"
    ]  # fmt: skip
    rows = [
        [each["size"], title, *_accuracy_cells(each, each[name])]
        for each in _of(parts, "accuracy")
        for name, title in names.items()
    ]
    rows += [
        [each["size"], "best possible", f"{each['floor']:.4f}", "100 %", "–", "–", "–"]
        for each in _of(parts, "accuracy")
    ]
    return _table(head, sorted(rows, key=lambda row: float(row[0])))


def _accuracy_cells(each: Found, of: Found) -> list[str]:
    if "refused" in of:
        return [f"refused: {of['refused']}", "–", "–", "–", "–"]
    room = each["biases"].get("rmse")
    share = "–" if room is None else f"{(room - of['rmse']) / (room - each['floor']):.0%}"
    epochs = str(of["epochs"]) if of["epochs"] else "–"
    numbers = [f"{of['rmse']:.4f}", share.replace("%", " %"), epochs]
    return [*numbers, _seconds(of["seconds"]), _gib(of["peak_mb"])]


def _model(parts: Parts) -> list[str]:
    fit = parts.get("fit", {}).get("found", {})
    lines: list[str] = []
    for name, title, unit in (("seconds", "Seconds of a pass", "s"), ("memory_mb", "Peak", "MiB")):
        if name in fit:
            terms = [f"{value:.3g} · {term}" for term, value in fit[name]["coefficients"].items()]
            lines += [f"- {title} = {' + '.join(terms)} {unit}: {_errors(fit[name], fit)}."]
    return [*lines, "", *_residuals(fit)] if lines else []


def _errors(model: Found, fit: Found) -> str:
    median, worst = (f"{100 * model[name]:.0f} %" for name in ("median_error", "worst_error"))
    return f"off by {median} in the median of {fit['points']} measurements and by {worst} at most"


def _residuals(fit: Found) -> list[str]:
    head = ["ratings", "d", "L", "pass s", "model", "peak GiB", "model"]
    both = zip(fit["seconds"]["residuals"], fit["memory_mb"]["residuals"], strict=True)
    rows = [
        [
            f"{one['ratings']:,}", str(one["hidden_dim"]), str(one["num_layers"]),
            _seconds(one["measured"]), _percent(one["error"]), _gib(other["measured"]),
            _percent(other["error"]),
        ]
        for one, other in sorted(both, key=lambda pair: _order(pair[0]))
    ]  # fmt: skip
    return table(head, rows)


def _order(row: Found) -> tuple[int, int, int]:
    return row["ratings"], row["num_layers"], row["hidden_dim"]


def _room(parts: Parts) -> list[str]:
    model = parts.get("fit", {}).get("found", {}).get("memory_mb")
    if model is None:
        return []
    ways = [(width, layers, part) for width, layers in MODELS for part in (0, PART_RATINGS)]
    rows = [
        [_way(*way), *(_largest(model, USABLE * 1024 * gib, *way) for gib in GIB)] for way in ways
    ]
    return table(["million ratings that fit", *(f"{gib} GiB" for gib in GIB)], rows)


def _way(width: int, layers: int, part: int) -> str:
    how = f"in parts of {part / 1e6:.0f} million" if part else "whole graph"
    return f"d {width}, L {layers}, {how}"


def _largest(model: Found, limit: float, width: int, layers: int, part: int) -> str:
    """Return how many million ratings need at most so many MiB; the need grows with them."""
    low, high = 0.0, MOST_MILLION
    while high - low > 0.005 * high:
        middle = (low + high) / 2
        needed = predicted(model, _point(1e6 * middle, width, layers, part))
        low, high = (middle, high) if needed <= limit else (low, middle)
    return f"over {MOST_MILLION:,.0f}" if high == MOST_MILLION else f"{low:,.0f}"


def _point(ratings: float, width: int, layers: int, part: int) -> dict[str, float]:
    """Return a training on data of the shape of MovieLens 32M."""
    sizes = {name: count * ratings / SHAPE["ratings"] for name, count in SHAPE.items()}
    train = TRAIN_SHARE * ratings
    return {
        **sizes, "train": train, "hidden_dim": width, "num_layers": layers,
        "steps_per_pass": STEPS * max(1.0, train / part if part else 1.0),
    }  # fmt: skip


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


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _whole_number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _gib(megabytes: float) -> str:
    return f"{megabytes / 1024:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:+.0f} %"


BLOCKS: Mapping[str, Callable[[Parts], list[str]]] = {
    "import": _import, "train": _train, "whole": _whole, "product": _product,
    "accuracy": _accuracy, "model": _model, "room": _room, "plan": _plan, "runs": _runs,
}  # fmt: skip
