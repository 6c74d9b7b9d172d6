"""A report as a page: Markdown tables, pictures, and how everything was measured."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from movierec.benchmark.picture import draw_accuracy, draw_new_users
from movierec.benchmark.report import Report
from movierec.benchmark.row import Row
from movierec.benchmark.summary import (
    COLUMNS,
    Column,
    MeanAndDeviation,
    Section,
    Summary,
    curves_of,
    sections,
    summaries,
)
from movierec.errors import SettingsError
from movierec.folders import write_whole

__all__ = ["comparisons", "fold_table", "new_user_table", "split_table", "write_page"]

LEAST_POINTS = 3  # models that a picture needs to say more than the table
LEGEND = (
    "RMSE and MAE are over all test ratings. NDCG@10 `full` ranks every movie the user is not "
    "known to have rated, and every held-out rating counts; `rated` ranks only the user's own "
    "test movies. ± is the standard deviation over the seeds, no ± means that they agree or that "
    "there is one. The best of a column is bold, – is not measured. Seconds are wall time: `fit` "
    "is training alone, `whole` goes from loading the data set to the version stored, evaluation "
    "and the floors it is shown beside included. Epochs are chosen on the validation part; the "
    "test part is scored once."
)
NEW_USERS_LEGEND = (
    "The test users are wholly absent from training. Each model is fitted once and then told "
    "each one's oldest ratings, without training again; the rest of their ratings is the test "
    "part. That part shrinks with each rating given: compare models in one column, not columns."
)


def write_page(
    report: Report, page: Path, title: str, *, pictures: Path, prefix: str = ""
) -> list[str]:
    """Write the page and its pictures; return what could not be drawn and why.

    A picture's name is the split's, with the prefix before it; the prefix alone if there is one
    split only.

    Raises:
        SettingsError: a file cannot be written.

    """
    found = sections(report.rows)
    drawn, problems = {}, []
    for section, name in zip(found, _names(found, prefix), strict=True):
        path = pictures / f"{name}.svg"
        try:
            if _draw(section, path):
                drawn[section] = Path(os.path.relpath(path, page.parent)).as_posix()
        except SettingsError as error:
            problems.append(str(error))
    write_whole(page, "\n".join(_page(report, found, title, drawn)) + "\n")
    return list(dict.fromkeys(problems))


def _names(found: Sequence[Section], prefix: str) -> list[str]:
    """Return a file's name for each section: the prefix, and what tells it from the others."""
    if len(found) == 1 and prefix:
        return [prefix]
    several = len({section.fingerprint for section in found}) > 1
    data = [f"{s.dataset}-{s.fingerprint[:8]}" if several else "" for s in found]
    return [
        "-".join(filter(None, (prefix, name, section.slug)))
        for section, name in zip(found, data, strict=True)
    ]


def _draw(section: Section, path: Path) -> bool:
    """Draw a section if it holds enough for a picture, and say whether it did."""
    title = f"{section.dataset}, {section.label}"
    counts, curves = curves_of(section.rows)
    if section.is_new_users and len(counts) > 1:
        draw_new_users(curves, title, path)
        return True
    found = summaries(section.rows)
    if len(found) < LEAST_POINTS or section.is_new_users:
        return False
    draw_accuracy(found, title, path)
    return True


def _page(
    report: Report, found: Sequence[Section], title: str, drawn: Mapping[Section, str]
) -> list[str]:
    lines = [f"# {title}", "", LEGEND, ""]
    for section in found:
        lines += [*_section(section, drawn.get(section)), ""]
    for fingerprint, name in {section.fingerprint: section.dataset for section in found}.items():
        table = fold_table([row for row in report.rows if row["fingerprint"] == fingerprint])
        if table:
            lines += [f"## {name}, mean over u1…u5", "", *table, ""]
    return [*lines, "## How it was measured", "", *_runs(report)]


def _section(section: Section, picture: str | None) -> list[str]:
    lines = [f"## {section.dataset}, {section.label}", ""]
    if picture:
        lines += [f"![{_alt(section)}]({picture})", ""]
    if section.is_new_users:
        return [*lines, NEW_USERS_LEGEND, "", *new_user_table(section.rows)]
    found = summaries(section.rows)
    said = comparisons(found)
    return [*lines, *split_table(found), *(["", *said] if said else [])]


def _alt(section: Section) -> str:
    what = "ratings given" if section.is_new_users else "seconds"
    return f"RMSE and NDCG@10 against {what}, {section.label}"


def _runs(report: Report) -> list[str]:
    lines = []
    for place, run in enumerate(report.runs):
        rows = [row for row in report.rows if row["run"] == place]
        lines += [_where(run, len(rows)), "", "```sh", run["command"], "```", ""]
    if len({str(run["machine"]) for run in report.runs}) > 1:
        lines += ["The rows come from different machines: their seconds do not compare.", ""]
    data = {
        f"`{row['dataset']}` has fingerprint `{row['fingerprint'][:16]}`" for row in report.rows
    }
    return [*lines, "; ".join(sorted(data)) + "."]


def _where(run: Mapping[str, Any], rows: int) -> str:
    machine, git = run["machine"], run["git"]
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    commit = f"commit `{str(git['commit'])[:10]}`" if git["commit"] else "no commit known"
    changed = " with changes" if git["dirty"] else ""
    return (
        f"{rows} rows from {run['date'][:10]}, {commit}{changed}, on {machine['cpu']}, "
        f"cores: {machine['cores']}, threads used: {machine['threads']}, "
        f"{machine['memory_gib']} GiB, {machine['system']}; {libraries}:"
    )


FOLDS = ("u1", "u2", "u3", "u4", "u5")
UNSHOWN = ("predict", "memory")
RANKING_PEERS = ("ease", "popular")
KNOWING_NOTHING = ("mean", "random")


def split_table(found: Sequence[Summary]) -> list[str]:
    """Return a Markdown table of one split, the best of each column in bold."""
    ease = _reference(found, "ease", "ndcg")
    shown = {name: COLUMNS[name] for name in COLUMNS if name not in UNSHOWN}
    heads = [column.heading for column in shown.values()]
    heads.insert(heads.index(COLUMNS["ndcg"].heading) + 1, "× EASE")
    best = {
        name: _best(column, [item.mean(name) for item in found]) for name, column in shown.items()
    }
    lines = _head(["model", *heads, "seeds"])
    for item in found:
        cells = [
            _bold(item.values[name], column.digits, best[name]) for name, column in shown.items()
        ]
        cells.insert(heads.index("× EASE"), _ratio(item.mean("ndcg"), ease))
        lines.append(_line([item.name, *cells, str(item.seeds)]))
    return lines


def _reference(found: Sequence[Summary], preset: str, column: str) -> float | None:
    """Return the best mean of a peer's entries, which may be several settings of it."""
    means = [item.mean(column) for item in found if item.preset == preset]
    return max((mean for mean in means if mean is not None), default=None)


def _best(column: Column, means: Sequence[float | None]) -> float | None:
    known = [mean for mean in means if mean is not None]
    return column.best(known) if column.best and known else None


def _bold(spread: MeanAndDeviation, digits: int, best: float | None) -> str:
    text = spread.text(digits)
    return f"**{text}**" if best is not None and spread.mean == best else text


def _ratio(value: float | None, reference: float | None) -> str:
    return "–" if value is None or not reference else f"{value / reference:.3f}"


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---", *["---:"] * (len(cells) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def comparisons(found: Sequence[Summary]) -> list[str]:
    """Return a sentence for each GraphSAGE: its NDCG and RMSE beside those of its peers."""
    ours = [item for item in found if not item.is_baseline]
    peers = [item for item in found if item.is_baseline and item.preset not in KNOWING_NOTHING]
    sentences = ((item.name, _ranked(item, peers), _rated(item, peers)) for item in ours)
    return [
        f"- {name}: {'; '.join(filter(None, (ranked, rated)))}."
        for name, ranked, rated in sentences
        if ranked or rated
    ]


def _ranked(item: Summary, peers: Sequence[Summary]) -> str:
    own = item.mean("ndcg")
    ratios = [
        f"{_ratio(own, mean)} × {peer.name}"
        for peer in peers
        if own is not None and peer.preset in RANKING_PEERS and (mean := peer.mean("ndcg"))
    ]
    return f"NDCG@10 `full` is {_listed(ratios)}" if ratios else ""


def _rated(item: Summary, peers: Sequence[Summary]) -> str:
    told, untold = (_lower(item.mean(name), peers) for name in ("rmse", "untimed"))
    if told == untold:
        return f"RMSE is {told}" if told else ""
    return f"RMSE is {told}; without the time of a rating it is {untold}"


def _lower(own: float | None, peers: Sequence[Summary]) -> str:
    differences = [
        _difference(mean - own, peer.name)
        for peer in peers
        if own is not None and (mean := peer.mean("rmse")) is not None
    ]
    return _listed(differences) if differences else ""


def _difference(lower_by: float, name: str) -> str:
    if round(abs(lower_by), 4) == 0:
        return f"that of {name}"
    return f"{abs(lower_by):.4f} {'lower' if lower_by > 0 else 'higher'} than {name}"


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def fold_table(rows: Sequence[Row]) -> list[str]:
    """Return a table of the models measured on all of u1…u5, empty where there is none.

    A fold's number is the mean over its seeds, the last ones are means over the folds.
    """
    by_fold = {fold: summaries([row for row in rows if row["split"] == fold]) for fold in FOLDS}
    labels = [item.label for item in by_fold["u1"]]
    whole = [
        [item for fold in FOLDS for item in by_fold[fold] if item.label == label]
        for label in labels
    ]
    whole = [group for group in whole if len(group) == len(FOLDS)]
    if not whole:
        return []
    lines = _head(
        ["model", *(f"RMSE {fold}" for fold in FOLDS), "RMSE, mean", "NDCG@10 `full`, mean"]
    )
    means = {name: [_mean_of(group, name) for group in whole] for name in ("rmse", "ndcg")}
    best = {name: _best(COLUMNS[name], means[name]) for name in means}
    for group, *ends in zip(whole, means["rmse"], means["ndcg"], strict=True):
        folds = [item.values["rmse"].text(4) for item in group]
        cells = [
            _bold(MeanAndDeviation(end), 4, best[name])
            for name, end in zip(means, ends, strict=True)
        ]
        lines.append(_line([group[0].name, *folds, *cells]))
    return lines


def _mean_of(group: Sequence[Summary], column: str) -> float | None:
    means = [item.mean(column) for item in group]
    known = [mean for mean in means if mean is not None]
    return statistics.fmean(known) if len(known) == len(means) else None


def new_user_table(rows: Sequence[Row]) -> list[str]:
    """Return a table of RMSE and NDCG@10 `full` after each number of given ratings."""
    counts, curves = curves_of(rows)
    heads = [f"{name} after {n}" for name in ("RMSE", "NDCG@10 `full`") for n in counts]
    keys = [(name, n) for name in ("rmse", "ndcg") for n in counts]
    best = {
        (name, n): _best(COLUMNS[name], [c[n].mean(name) for c in curves.values() if n in c])
        for name, n in keys
    }
    lines = _head(["model", *heads])
    for curve in curves.values():
        cells = [
            _bold(curve[n].values[name], 4, best[name, n]) if n in curve else "–"
            for name, n in keys
        ]
        lines.append(_line([next(iter(curve.values())).name, *cells]))
    return lines
