"""Pictures of a benchmark as SVG: accuracy against seconds or ratings given; growing curves.

matplotlib is in the optional dependency group `bench` and imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from movierec.benchmark.summary import Summary
from movierec.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

__all__ = ["Panel", "draw_accuracy", "draw_curves", "draw_new_users"]

# a white card with dark text is read on GitHub's light and dark page alike
INK, FAINT, OURS, PEER = "#24292f", "#d0d7de", "#0969da", "#6e7781"
CURVES = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#57606a", "#0e7490")
MARKERS = "os^Dv<>P"
PANELS = (("rmse", "RMSE (lower is better)"), ("ndcg", "NDCG@10 full (higher is better)"))
# where a label may stand, in points from its point, nearest first
PLACES = [
    (x, y)
    for distance in (7, 14, 22, 32, 44, 58)
    for x, y in (
        (distance, 0), (distance, distance), (distance, -distance), (0, distance), (0, -distance),
        (-distance, 0), (-distance, distance), (-distance, -distance),
    )
]  # fmt: skip


def draw_accuracy(found: Sequence[Summary], title: str, path: Path) -> None:
    """Draw RMSE and NDCG@10 of each model against its whole seconds, one point per model.

    Bars are standard deviations over seeds. A model without one of the numbers is left out of
    that panel.

    Raises:
        SettingsError: matplotlib is missing, or the file cannot be written.

    """
    with _figure(title, path) as figure:
        for axes, (column, name) in zip(_panels(figure), PANELS, strict=True):
            axes.set_xscale("log")
            _label_axes(
                axes, "seconds from loading to the stored version (log); blue: GraphSAGE", name
            )
            shown = [item for item in found if item.mean(column) is not None]
            for item in shown:
                _point(axes, item, column)
            axes.margins(x=0.15, y=0.14)
            _seconds_as_numbers(axes)
            _place_labels(axes, [(item, *_at(item, column)) for item in shown])


def draw_new_users(curves: Mapping[str, Mapping[int, Summary]], title: str, path: Path) -> None:
    """Draw RMSE and NDCG@10 of each model after each number of given ratings, a line per model.

    Raises:
        SettingsError: matplotlib is missing, or the file cannot be written.

    """
    with _figure(title, path) as figure:
        panels = _panels(figure)
        for axes, (column, name) in zip(panels, PANELS, strict=True):
            _label_axes(axes, "ratings given by a new user", name)
            for place, curve in enumerate(curves.values()):
                _curve(axes, curve, column, place)
            axes.set_xticks(sorted({count for curve in curves.values() for count in curve}))
        lines, names = panels[1].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False)


@dataclass(frozen=True)
class Panel:
    """One half of a picture: its title, what is below it, and points (x, y) by line."""

    title: str
    below: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


def draw_curves(panels: Sequence[Panel], title: str, path: Path) -> None:
    """Draw two panels of lines, all axes logarithmic: what grows evenly is straight.

    Raises:
        SettingsError: matplotlib is missing, or the file cannot be written.

    """
    with _figure(title, path) as figure:
        for axes, panel in zip(_panels(figure), panels, strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            _label_axes(axes, panel.below, panel.title)
            for place, (name, points) in enumerate(panel.lines.items()):
                axes.plot(
                    *zip(*points, strict=True), label=name, color=CURVES[place],
                    marker=MARKERS[place], markersize=5, linewidth=1.8,
                )  # fmt: skip
            axes.legend(frameon=False)


@contextmanager
def _figure(title: str, path: Path) -> Iterator[Figure]:
    """Give an empty figure and save it: the same numbers make the same file."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingsError(
            "The picture needs matplotlib, which is not installed.",
            hint="`sh tools/bootstrap.sh bench` installs it; the tables do not need it.",
        ) from error
    looks: dict[Any, Any] = {
        "svg.hashsalt": "movierec", "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK, "xtick.minor.size": 0,
    }  # fmt: skip
    with rc_context(looks):
        figure = Figure(figsize=(11, 4.8), layout="constrained", facecolor="white")
        figure.suptitle(title, fontweight="bold")
        yield figure
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name another place."
        ) from error


def _panels(figure: Figure) -> Sequence[Axes]:
    left, right = figure.subplots(1, 2)
    return [left, right]


def _label_axes(axes: Axes, below: str, name: str) -> None:
    axes.set_title(name, fontsize=10)
    axes.set_xlabel(below)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _at(item: Summary, column: str) -> tuple[float, float]:
    """Return the point of a model; the log axis begins at a hundredth of a second."""
    return max(item.mean("whole") or 0.0, 0.01), item.mean(column) or 0.0


def _point(axes: Axes, item: Summary, column: str) -> None:
    x, y = _at(item, column)
    colour = PEER if item.is_baseline else OURS
    axes.errorbar(
        x, y, yerr=item.values[column].sd or 0.0, fmt="o", color=colour, ecolor=colour,
        markersize=6, elinewidth=1.2, capsize=3,
    )  # fmt: skip


def _curve(axes: Axes, curve: Mapping[int, Summary], column: str, place: int) -> None:
    known = {n: item for n, item in curve.items() if item.mean(column) is not None}
    means = [item.mean(column) or 0.0 for item in known.values()]
    sd = [item.values[column].sd or 0.0 for item in known.values()]
    axes.errorbar(
        list(known), means, yerr=sd, label=_plain(next(iter(curve.values()))), capsize=3,
        color=CURVES[place % len(CURVES)], marker=MARKERS[place % len(MARKERS)], markersize=5,
        linewidth=1.8, linestyle="-" if place < len(CURVES) else "--",
    )  # fmt: skip


def _seconds_as_numbers(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _plain(item: Summary) -> str:
    """Return the name as plain text; what is set to a value stands in the table alone."""
    parts = item.name.replace("`", "").split(", ")
    return ", ".join(part for part in parts if "=" not in part)


def _place_labels(axes: Axes, points: Sequence[tuple[Summary, float, float]]) -> None:
    """Put each label at the nearest place that covers no other label and no point."""
    figure: Any = axes.figure
    figure.draw_without_rendering()  # fixes the scales that places in pixels depend on
    taken = [_around(axes.transData.transform((x, y))) for _, x, y in points]
    for item, x, y in points:
        label = axes.annotate(
            _short(item), (x, y), xytext=PLACES[0], textcoords="offset points", fontsize=9,
            color=INK if item.is_baseline else OURS, va="center", zorder=5,
            arrowprops={"arrowstyle": "-", "color": PEER, "linewidth": 0.6, "shrinkB": 4},
        )  # fmt: skip
        taken.append(_settle(axes, label, taken))


def _settle(axes: Axes, label: Annotation, taken: Sequence[Any]) -> Any:
    """Move a label to the first free place, or leave it at the last; return the box it fills."""
    from matplotlib.text import Text

    size = Text.get_window_extent(label)  # the annotation's own includes its line
    box = size
    for place in PLACES:
        box = _box_at(axes, label, place, size)
        corners_inside = all(axes.bbox.contains(x, y) for x, y in box.corners())
        if corners_inside and not any(box.overlaps(other) for other in taken):
            break
    label.set_position(place)
    label.set_horizontalalignment(_alignment(place))
    return box


def _box_at(axes: Axes, label: Annotation, place: tuple[int, int], size: Any) -> Any:
    """Return the pixels that a label of this size fills at a place in points from its point."""
    from matplotlib.transforms import Bbox

    pixels = axes.figure.dpi / 72
    x, y = axes.transData.transform(label.xy)
    left = {"left": 0.0, "center": 0.5, "right": 1.0}[_alignment(place)] * size.width
    x, y = x + place[0] * pixels - left, y + place[1] * pixels - size.height / 2
    return Bbox.from_bounds(x, y, size.width, size.height)


def _alignment(place: tuple[int, int]) -> Literal["left", "center", "right"]:
    return "left" if place[0] > 0 else "right" if place[0] < 0 else "center"


def _short(item: Summary) -> str:
    return _plain(item).removeprefix("GraphSAGE ")


def _around(pixel: Any) -> Any:
    from matplotlib.transforms import Bbox

    x, y = pixel
    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)
