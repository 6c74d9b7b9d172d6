"""Colours, dashes and marks. The page colours themselves are in `.streamlit/config.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["NEUTRAL", "OKABE_ITO", "SYMBOLS", "Styles", "VersionStyle", "version_style"]

# Okabe and Ito's palette (jfly.uni-koeln.de/color) without black; yellow, the one that is hard
# to see on white, comes last.
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "x")

# Mid grey: at least 3:1 against both page backgrounds.
NEUTRAL = "#7b8892"


@dataclass(frozen=True)
class VersionStyle:
    """How one version is drawn on every page."""

    colour: str
    dash: str
    symbol: str


Styles: TypeAlias = Mapping[str, VersionStyle]  # by name of version


def version_style(name: str, versions: Sequence[str]) -> VersionStyle:
    """Return the style of a version; `versions` holds all names, oldest first.

    28 versions differ in colour or dash before a pair repeats.
    """
    place = list(versions).index(name) if name in versions else len(versions)
    turn, colour = divmod(place, len(OKABE_ITO))
    return VersionStyle(OKABE_ITO[colour], DASHES[turn % len(DASHES)], SYMBOLS[colour])
