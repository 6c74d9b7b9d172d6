"""The Versions page's first view: all versions with filters, and one in detail."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from movierec.comparison.metrics import BY_KEY
from movierec.errors import MovierecError
from movierec.registry import Registry
from movierec.store.records import VersionRecord
from movierec.ui.components import address, cache, shell, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.flash import leave
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import ago, decimal, integer, literal, size
from movierec.ui.components.versions import actions, leaderboard
from movierec.ui.components.versions.leaderboard import fit_filters, headline_metrics, version_table

__all__ = ["choose", "detail", "filtered", "head", "table"]

_SHOWN = ("rmse", "ndcg_full")
_KEY, _TABLE = "version", "version-table"

_HERO = ("rmse", "mae", "ndcg_full", "ndcg_rated")


def head(records: Sequence[VersionRecord]) -> None:
    """Draw what is kept and which version is in use."""
    current = next((record for record in records if record.is_current), None)
    bytes_kept = size(sum(record.size_bytes for record in records))
    count = f"{len(records)} version{'s' if len(records) != 1 else ''}"
    title = f"{current.name} is current" if current else "No version is current"
    widgets.heading(
        "Versions",
        f"{title}; {count} kept, {bytes_kept} on disk",
        "The current version is what recommends. Make another one current, and take it back, at "
        "any time: each move is checked and remembered.",
    )


def filtered(records: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Draw the filters and return what passes them, newest first."""
    search, tags, model, data = st.columns([3, 2, 2, 2])
    text = search.text_input("Search names, tags and notes", type="search", live=True, **bound("q"))
    kept: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
    known = sorted({tag for record in records for tag in record.tags}, key=str.casefold)
    wanted = tags.multiselect("Tags (all of them)", known, key="tag", placeholder="Any", **kept)
    fields = {"preset": (model, "Model", "model"), "dataset_name": (data, "Data set", "data")}
    found = fit_filters(records, fields, **kept)
    return [r for r in found if _says(r, text or "") and set(wanted) <= set(r.tags)]


def table(records: Sequence[VersionRecord]) -> None:
    """Draw the versions; selecting a row opens it below."""

    def opened(names: list[str]) -> None:
        if names:
            st.session_state[_KEY] = names[0]

    version_table(
        [_row(record) for record in records], [record.name for record in records], opened,
        key=_TABLE, mode="single-row",
        alt="Versions, newest first, with model, data set, split, headline metrics, tags and size",
    )  # fmt: skip


def choose(records: Sequence[VersionRecord], found: Sequence[VersionRecord]) -> str:
    """Offer the versions found and the one that is open; its name is in the page's address."""
    known = {record.name: record for record in records}
    first = next((record for record in records if record.is_current), records[0])
    return address.select(
        "Version in detail", _KEY, [record.name for record in found], first.name, known=known,
        unknown="There is no version {asked} here (any more).",
    )  # fmt: skip


def _says(record: VersionRecord, text: str) -> bool:
    said = " ".join([record.name, record.preset, record.notes, *record.tags]).casefold()
    return all(word in said for word in text.casefold().split())


def _state(record: VersionRecord) -> str:
    return " ● current" if record.is_current else " ✕ files missing" * record.is_missing


def _row(record: VersionRecord) -> dict[str, object]:
    return {
        "Version": f"{record.name}{_state(record)}",
        "Model": record.preset,
        "Data set": record.dataset_name,
        "Split": record.split_label,
        **headline_metrics(record, _SHOWN),
        "Tags": list(record.tags),
        "Notes": record.notes.partition("\n")[0],
        "Size": size(record.size_bytes),
        "Trained": ago(record.created_at),
    }


def detail(registry: Registry, record: VersionRecord, known_tags: list[str]) -> None:
    """Draw a version: numbers, actions, tags and notes, where it comes from, files, its card."""
    widgets.section(f"{record.name}: {record.preset} on {record.dataset_name}")
    widgets.mute(f"Measured on {leaderboard.protocol(record)}.")
    if record.is_missing:
        st.error(
            f"**The folder of {literal(record.name)} is missing.** Put it back from a backup, or "
            "delete the version.", icon=":material/error:",
        )  # fmt: skip
    _numbers(record)
    actions.bar(registry, record)
    left, right = st.columns(2, gap="large")
    with left:
        _words(registry, record, known_tags)
    with right:
        _origin(record)
    _files(record)
    _card(record)


def _numbers(record: VersionRecord) -> None:
    evaluation = record.metadata.evaluation
    with st.container(key="numbers-version"):
        cells = st.columns(len(_HERO))
    for cell, key in zip(cells, _HERO, strict=True):
        metric = BY_KEY[key]
        value = metric.value_in(evaluation)
        cell.metric(metric.label, decimal(value, metric.digits), border=True, help=metric.hint)


def _words(registry: Registry, record: VersionRecord, known: list[str]) -> None:
    """Draw tags, kept as soon as they are changed, and notes with a button that keeps them."""
    widgets.chart_title("Tags and notes")
    tags = st.multiselect(
        f"Tags of {record.name}", sorted({*known, *record.tags}, key=str.casefold),
        default=list(record.tags), accept_new_options=True, key=f"tags-{record.name}",
        placeholder="Choose or type a tag",
    )  # fmt: skip
    if set(tags) != set(record.tags):
        with shell.errors_in_words():
            add, remove = set(tags) - set(record.tags), set(record.tags) - set(tags)
            registry.tag(record.name, add=sorted(add), remove=sorted(remove))
            leave(f"The tags of {record.name} are kept.")
    with st.form(f"notes-form-{record.name}", border=False):
        notes = st.text_area(
            f"Notes on {record.name}", record.notes, key=f"notes-{record.name}", max_chars=10_000,
            placeholder="What was tried, what to remember; plain text",
        )  # fmt: skip
        if st.form_submit_button(f"Save the notes on {record.name}", icon=":material/save:"):
            with shell.errors_in_words():
                registry.annotate(record.name, notes or "")
                leave(f"The notes on {record.name} are kept.")


def _origin(record: VersionRecord) -> None:
    """Draw where a version comes from: data, run, sweep, or an archive."""
    from movierec.registry.lineage import lineage

    found = lineage(cache.store(), record)
    widgets.chart_title("Where it comes from")
    widgets.facts({**found.facts(), **_made(record)})
    if found.run_id is not None:
        shell.link(
            "Train",
            f"Open run {found.run_id}",
            {"view": "Runs", "run": str(found.run_id)},
            icon="receipt_long",
        )
    if found.sweep:
        shell.link(
            "Train",
            literal(f"Open the sweep {found.sweep}"),
            {"view": "Sweeps", "sweep": found.sweep},
            icon="tune",
        )


def _made(record: VersionRecord) -> dict[str, str]:
    facts = record.metadata
    return {
        "Kept": f"{ago(record.created_at)}, {record.created_at:%Y-%m-%d %H:%M} UTC",
        "Parameters": integer(record.parameters),
        "Members": str(facts.members or 1),
        "Device": facts.device or "not recorded",
        "Code": (facts.git.commit or "")[:10] or "not recorded",
    }


def _files(record: VersionRecord) -> None:
    files = record.metadata.files
    total = size(record.size_bytes)
    with st.expander(f"{len(files) + 1} files, {total}", key=f"files-{record.name}"):
        columns = [Column("File"), Column("Size", numeric=True), Column("SHA-256")]
        rows: list[list[Cell | str]] = [
            [name, size(facts.bytes), facts.sha256[:16]]
            for name, facts in sorted(files.items(), key=lambda item: -item[1].bytes)
        ]
        widgets.html(html_table(f"Files of {record.name}", columns, rows))
        widgets.mute("The first 16 digits of each checksum; metadata.json has them whole.")


def _card(record: VersionRecord) -> None:
    with st.expander(f"Model card of {record.name}", key=f"card-{record.name}"):
        try:
            text = cache.model_card(record)
        except MovierecError as error:
            widgets.html(f'<p class="mr-wrong">{escape(str(error))}</p>')
            return
        st.download_button(
            f"Download the card of {record.name}", text, f"{record.name}.md", "text/markdown",
            key=f"card-file-{record.name}", icon=":material/description:", on_click="ignore",
        )  # fmt: skip
        st.markdown(_lowered(text))


def _lowered(card: str) -> str:
    """Return a card whose headings stand two levels lower: the page has a title of its own."""
    lines, in_code = [], False
    for line in card.splitlines():
        in_code ^= line.startswith("```")
        lines.append(f"##{line}" if line.startswith("#") and not in_code else line)
    return "\n".join(lines)
