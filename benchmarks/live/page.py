"""What was measured, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["page", "table", "where"]

OWNERS = {
    "server": "dashboard", "training": "training", "browsers": "browsers",
    "sessions": "sessions", "benchmark": "this benchmark",
}  # fmt: skip
WAYS = {
    "spinning": "spinning, torch's own way",
    "spinning briefly": "spinning 2,500 rounds, then sleeping: as runs are started here",
    "sleeping": "sleeping at once",
}  # fmt: skip


def page(report: Mapping[str, Any]) -> str:
    """Return Markdown of the parts that were measured."""
    parts = report["parts"]
    sections = (
        ("paint", _paint), ("compare", _compare), ("runs", _runs), ("load", _load),
        ("waits", _waits), ("views", _views),
    )  # fmt: skip
    lines = ["# The dashboard under load", "", _INTRODUCTION]
    for name, section in sections:
        if name in parts:
            lines += ["", *section(parts[name]["found"]), "", *where(parts[name]["run"])]
    return "\n".join(lines) + "\n"


_INTRODUCTION = (
    "Real processes on one machine: `streamlit run Home.py`, headless Chromium, a worker with its "
    "training, and sessions that speak Streamlit's WebSocket as its frontend does, polls, "
    "cookies and cached messages included. Seconds are wall time; cores are CPU seconds per "
    "second. `first visit` is a browser without a cache, from the navigation to the frame that "
    "shows the page's heading; `script` is from the request to “script finished”."
)


def _paint(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            f"`{name}`", _seconds(each["cold"]), _both(each["first"]), _both(each["again"]),
            _both(each["script"]),
        ]
        for name, each in found["pages"].items()
    ]  # fmt: skip
    head = ["page", "cold server", "first visit", "visited before", "script"]
    note = "Seconds, median and p95; `cold` is the first page of a server that has just started."
    return ["## First paint", "", *table(head, rows), "", note + " Aim: under 1.5 s, warm."]


def _views(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, f"{each['first']:.2f}", _both(each["script"]), f"{each['cpu']:.2f}",
         _both(each["drawn"])]
        for name, each in found["views"].items()
    ]  # fmt: skip
    size = (
        f"{found['ratings']:,} ratings of {found['users']:,} users and {found['movies']:,} movies"
    )
    head = ["view", "first opening", "script", "server's CPU", "drawn"]
    note = (
        "Seconds, median and p95 of openings by new sessions, each of another user or movie, in "
        "one server; `drawn` is until Chromium shows all of it, `CPU` of one opening. "
        "Aim: 1 s, at most 2 s, warm."
    )
    return [f"## Every view, {size}", "", *table(head, rows), "", note]


def _runs(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"`{name}`", _both(each["first"]), _both(each["script"])]
        for name, each in found["pages"].items()
    ]
    size = (
        f"{found['runs']:,} finished runs of {found['epochs']} epochs, {found['megabytes']:,.0f} MB"
    )
    note = "Seconds, median and p95. Aim: under 1.5 s."
    rows_of_pages = table(["page", "first visit", "script"], rows)
    return [f"## {size} of database", "", *rows_of_pages, "", note]


def _load(found: Mapping[str, Any]) -> list[str]:
    everyone = found["sessions"] + found["browsers"]
    mixed = f"{found['browsers']} browsers, {found['sessions']} sessions"
    names = {
        "alone": "nobody", "with_sessions": f"{everyone} sessions", "with_browsers": mixed,
    }  # fmt: skip
    return [
        f"## {everyone} pages open on {found['page']} while the `default` preset trains",
        "",
        *_training(found, names),
        "",
        "Slower: median over the rounds, each against the part before it, with the least and the "
        "most. Aim: under 15 %. Browsers share the machine here; those of other people do not, "
        "which is what the line of sessions alone shows.",
        "",
        *_polls(found, names),
        "",
        *_opening(found, mixed),
    ]


def _training(found: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    owners = [owner for owner in OWNERS if owner in found["with_browsers"]["cores"]]
    head = ["open pages", "s per epoch", "slower", *(f"cores: {OWNERS[o]}" for o in owners)]
    rows = []
    for key, name in names.items():
        each = found[key]
        cores = [f"{each['cores'].get(owner, 0.0):.2f}" for owner in owners]
        rows.append([name, f"{each['epoch_seconds']:.3f}", _slower(each), *cores])
    return table(head, rows)


def _polls(found: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    rows = [["1 session", _milli(found["polls_of_one"]), "–", "–"]]
    for key in ("with_sessions", "with_browsers"):
        each = found[key]
        late = f"{each['late']} of {each['polls']['count']}"
        rows.append([names[key], _milli(each["polls"]), late, f"{each['kilobytes_per_poll']}"])
    head = ["open pages", "poll, ms: median / p95 / most", "late", "kB per poll"]
    return table(head, rows)


def _opening(found: Mapping[str, Any], mixed: str) -> list[str]:
    rows = []
    for name, idle in found["idle"].items():
        loaded = found["loaded"][name]
        for kind in ("paint", "script"):
            above = loaded[kind]["p95"] - idle[kind]["p95"]
            cells = [_both(idle[kind]), _both(loaded[kind]), f"{above:+.2f}"]
            rows.append([f"`{name}`, {kind}", *cells])
    head = ["another page is opened", "nothing goes on", f"training, {mixed}", "p95 above idle"]
    note = "Seconds, median and p95; paint is a first visit. Aim: p95 at most 1 s above idle."
    return [*table(head, rows), "", note]


def _waits(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [WAYS[name], f"{each['alone']:.2f}", f"{each['beside']:.2f}"]
        for name, each in found.items()
    ]
    head = ["threads wait", "alone", "beside one busy program"]
    return [
        "## How the threads of a training wait for one another", "", *table(head, rows), "",
        "Median seconds per epoch of the `default` preset.",
    ]  # fmt: skip


def _compare(found: Mapping[str, Any]) -> list[str]:
    kept = {"few": "the versions compared", "many": f"{found['kept']} versions"}
    rows = [
        [f"`{label}`", kept[key], _seconds(each["first"]), _both(each["again"]),
         _both(each["link"]), _both(each["script"])]
        for key in kept
        for label, each in found[key].items()
    ]  # fmt: skip
    head = ["page", "in the registry", "first visit", "visited before", "by its link", "script"]
    note = (
        "Seconds until the script has ended and every chart is drawn, median and p95; versions of "
        f"MovieLens 100K. Aims: {found['compared']} versions side by side under 2 s, with "
        f"{found['kept']} in the registry under 3 s, warm. `by its link` comes from "
        "another page of the open dashboard; `visited before` loads the dashboard anew, Plotly's "
        "5 MB of script included."
    )
    return ["## Versions side by side", "", *table(head, rows), "", note]


def _slower(each: Mapping[str, Any]) -> str:
    if "slower" not in each:
        return "–"
    least, most = min(each["slower_in_rounds"]), max(each["slower_in_rounds"])
    return f"**{each['slower']:+.1%}** ({least:+.1%} to {most:+.1%})".replace("%", " %")


def _seconds(value: float) -> str:
    return f"{value:.2f}"


def _both(each: Mapping[str, float]) -> str:
    return f"{each['median']:.2f} / {each['p95']:.2f}"


def _milli(each: Mapping[str, float]) -> str:
    return " / ".join(f"{1000 * each[name]:.0f}" for name in ("median", "p95", "max"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns but the first are numbers."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def where(run: Mapping[str, Any]) -> list[str]:
    """Return how, when and where a part was measured."""
    machine, git = run["machine"], run["git"]
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    changed = " with changes" if git["dirty"] else ""
    return [
        f"{run['date'][:10]}, commit `{str(git['commit'])[:10]}`{changed}, on {machine['cpu']}, "
        f"cores: {machine['cores']}, {machine['memory_gib']} GiB, {machine['system']}; "
        f"{libraries}:",
        "", "```sh", run["command"], "```",
    ]  # fmt: skip
