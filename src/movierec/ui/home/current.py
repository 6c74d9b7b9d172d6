"""The current version on Home: in words, in four numbers, beside reference baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from movierec.comparison.metrics import Metric
from movierec.metadata import CalibrationSummary, FittedCalibration
from movierec.store.records import VersionRecord
from movierec.ui.components import widgets
from movierec.ui.components.charts import with_unit
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, ago, decimal, duration, integer, percent, size
from movierec.ui.components.theme import VersionStyle
from movierec.ui.components.versions import curves, leaderboard, reliability
from movierec.ui.components.versions.leaderboard import METRICS, Row

__all__ = ["certainty", "comparison", "headline", "hero", "ladders", "training"]

_HERO = ("rmse", "mae", "ndcg_full", "ndcg_rated")


def headline(version: VersionRecord, table: Sequence[Row]) -> None:
    """Draw the headline: how good the version is, and by which protocol."""
    kicker = f"Current version {version.name} · {version.model}, preset {version.preset}"
    rmse, baseline = table[0].value("rmse"), leaderboard.best_baseline(table, "rmse")
    if math.isnan(rmse):
        widgets.heading(kicker, f"{version.name} ranks movies; it does not predict stars")
        return
    lead = f"Measured on {leaderboard.protocol(version)}."
    if baseline:
        gap = baseline.value("rmse") - rmse
        side = "better" if gap > 0 else "worse"
        beside = f"{side} than the best simple baseline, “{baseline.system}”"
        lead = f"{abs(gap):.3f} stars {beside}. {lead}"
    title = f"{version.name} predicts ratings with an error of {rmse:.2f} stars (RMSE)"
    widgets.heading(kicker, title, lead)


def hero(table: Sequence[Row]) -> None:
    """Draw the four numbers that matter, each with its distance to the best baseline."""
    by_key = {metric.key: metric for metric in METRICS}
    with st.container(key="numbers-hero"):
        for column, key in zip(st.columns(len(_HERO)), _HERO, strict=True):
            with column:
                _hero_number(by_key[key], table)


def ladders(table: Sequence[Row], style: VersionStyle) -> None:
    """Draw where the version stands among baselines and published systems."""
    shown = [("rmse", "RMSE (stars)"), ("ndcg_full", "NDCG@10 full (0–1)")]
    for column, (key, axis) in zip(st.columns(2, gap="large"), shown, strict=True):
        rungs = leaderboard.rungs(table, key)
        if rungs["value"].notna().any():
            lower = key == "rmse"
            with column:
                figure = leaderboard.ladder(rungs, style, axis=axis, lower_is_better=lower)
                widgets.figure(figure, f"ladder-{key}")


def comparison(table: Sequence[Row], style: VersionStyle) -> None:
    """Draw every number beside the baselines measured on the same split."""
    columns = [Column("System")]
    columns += [Column(m.label, numeric=True, hint=m.hint) for m in METRICS]
    bests = {m.key: leaderboard.best_in(table, m.key) for m in METRICS}
    rows = [_table_row(row, bests, style if i == 0 else None) for i, row in enumerate(table)]
    first_published = [i for i, row in enumerate(table) if row.kind == "published"][:1]
    caption = "Test metrics of the current version, its baselines and published systems"
    widgets.html(
        html_table(caption, columns, rows, highlight=[0], divide_before=[1, *first_published])
    )
    widgets.mute(
        "★ best on this split. RMSE and MAE in stars, lower is better; ranking metrics 0–1, higher "
        "is better. “full” ranks all movies a user has not rated in training; “rated” ranks only "
        "the user's own test movies and is easy, so read it beside the baselines: “constant” "
        "is the mean rating, “averages” the mean with each user's and movie's own deviation."
    )


def certainty(version: VersionRecord, style: VersionStyle) -> None:
    """Draw whether the version's probabilities come true, where they were measured."""
    table = reliability.reliability_frame(version.metadata.reliability)
    numbers = version.metadata.evaluation.calibration
    if table.empty or numbers.ece is None:
        return
    widgets.section("How sure it is")
    left, right = st.columns([3, 2], gap="large")
    with left:
        note = "Measured on the test part: how often a rating had more stars than the threshold."
        figure = reliability.of_one(table, numbers.ece, style)
        widgets.figure(figure, "reliability", note=note)
    with right:
        widgets.chart_title("What its probabilities are worth")
        widgets.facts(_certainty_facts(numbers, version.metadata.calibration))


def training(version: VersionRecord, style: VersionStyle) -> None:
    """Draw how training went and the facts of the version."""
    history = curves.history_frame(version.metadata.training_history)
    left, right = st.columns([3, 2], gap="large")
    with right:
        widgets.chart_title("What it is")
        widgets.facts(_facts(version))
    with left:
        if history.empty:
            widgets.mute("A baseline is computed in one go, so it has no training curve.")
            return
        _curve(history, style)


def _curve(history: pd.DataFrame, style: VersionStyle) -> None:
    names = curves.measured(history)
    if not names:
        widgets.mute("Nothing was measured during training.")
        return
    name = widgets.switch("Training curve of", names, "curve")
    note = "Measured on the validation part, which picks the epoch; not on the test part."
    figure = curves.learning_curve(history, name, style)
    widgets.figure(figure, "learning-curve", note=note)


def _hero_number(metric: Metric, table: Sequence[Row]) -> None:
    value, baseline = table[0].value(metric.key), leaderboard.best_baseline(table, metric.key)
    gap = math.nan if baseline is None else value - baseline.value(metric.key)
    known = baseline is not None and not math.isnan(gap)
    st.metric(
        with_unit(metric),
        decimal(value),
        f"{gap:+.3f}" if known else None,  # Streamlit reads the direction from an ASCII minus
        delta_color="inverse" if metric.lower_is_better else "normal",
        delta_description=f"vs {baseline.system}" if known and baseline else None,
        help=metric.hint,
        border=True,
        height="stretch",
    )


def _table_row(row: Row, bests: dict[str, float], style: VersionStyle | None) -> list[Cell | str]:
    swatch = style.colour if style else ""
    cells: list[Cell | str] = [Cell(row.system, note=row.note, swatch=swatch)]
    for metric in METRICS:
        value = row.value(metric.key)
        best = row.kind != "published" and value == bests[metric.key]
        cells.append(Cell(decimal(value, metric.digits), best=best))
    return cells


def _certainty_facts(numbers: CalibrationSummary, fitted: FittedCalibration) -> dict[str, str]:
    inside, claimed = percent(numbers.coverage_80), percent(numbers.claimed_80)
    return {
        "Calibration error": f"{decimal(numbers.ece)} (ECE, 0–1)",
        "Negative log-likelihood": f"{decimal(numbers.nll)} nats per rating",
        "80 % interval": f"{decimal(numbers.width_80, 1)} stars wide",
        "Ratings in it": f"{inside}; {claimed} expected",
        "Calibration": _calibration(fitted),
    }


def _calibration(fitted: FittedCalibration) -> str:
    if fitted.method in (None, "none"):
        return f"none: {fitted.reason or 'not recorded'}"
    before, after = decimal(fitted.val_ece_before), decimal(fitted.val_ece_after)
    return (
        f"{fitted.method}, temperature {decimal(fitted.temperature, 2)}; "
        f"ECE {before} before and {after} after, "
        f"on {integer(fitted.validation_ratings)} validation ratings"
    )


def _facts(version: VersionRecord) -> dict[str, str]:
    facts = version.metadata
    commit = (facts.git.commit or "")[:10]
    dirty = " (with local changes)" if facts.git.dirty else ""
    memory = facts.peak_memory_mb
    return {
        "Data set": version.dataset_name,
        "Split": version.split_label,
        "Parameters": integer(version.parameters),
        "Epochs": f"{integer(facts.epochs_trained)}, kept {integer(facts.best_epoch)}",
        "Trained": f"{ago(version.created_at)} on {facts.device or 'an unknown device'}",
        "Whole run": duration(facts.durations.total),
        "Peak memory": f"{integer(memory)} MB" if memory else NOT_MEASURED,
        "Size on disk": size(version.size_bytes),
        "Code": f"{commit or 'not recorded'}{dirty}",
    }
