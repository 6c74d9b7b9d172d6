"""A report as a page: Markdown tables, pictures, and how everything was measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from movierec.benchmark.picture import draw_accuracy, draw_new_users
from movierec.benchmark.report import Report
from movierec.benchmark.summary import Section, curves_of, sections, summaries
from movierec.benchmark.tables import comparisons, fold_table, new_user_table, split_table
from movierec.errors import SettingsError
from movierec.folders import write_whole

__all__ = ["write_page"]

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
