"""A report as one HTML file: styles, scripts and figures within, nothing asked of a network."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from itertools import count

import plotly.graph_objects as go

from movierec.ui.components.charts import bare

__all__ = ["Figures", "page"]

_HEIGHT = 320
# An executable script is let through by its hash alone: text that slipped past would not run.
_POLICY = (
    "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


class Figures:
    """Places for figures within one page, each with its data beside it."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def place(self, figure: go.Figure) -> str:
        """Return a figure with its title above it and its text for the blind."""
        name = f"figure-{next(self._numbers)}"
        height = figure.layout.height or _HEIGHT
        alt = escape(str(figure.layout.meta["alt"]))
        return (
            f'<figure><figcaption class="mr-chart-title">{figure.layout.title.text}</figcaption>'
            f'<div role="img" aria-label="{alt}" data-figure="{name}" '
            f'style="min-height:{height}px"></div>'
            f'<script type="application/json" id="{name}">{_data(bare(figure, height))}</script>'
            "</figure>"
        )


def page(title: str, body: str) -> str:
    """Return the whole page; `body` is HTML whose foreign text is escaped already."""
    scripts = [_plotly(), _text("compare/report.js")]
    policy = _POLICY.format(hashes=" ".join(map(_hash, scripts)))
    drawn = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>"
        f"<style>{_text('components/style.css')}{_text('compare/report.css')}</style></head>"
        f'<body class="stApp"><main>{body}'
        "<noscript><p>The charts need JavaScript; the tables have every number.</p></noscript>"
        f"</main>{drawn}</body></html>\n"
    )


def _data(figure: go.Figure) -> str:
    """Return a figure as JSON that cannot end the script it is in; its look is the script's.

    Plotly writes "<" and "/" as their code points.
    """
    from plotly.io.json import to_json_plotly

    whole = figure.to_dict()
    layout = {k: v for k, v in whole["layout"].items() if k not in ("template", "meta")}
    return str(to_json_plotly({"data": whole["data"], "layout": layout}))


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _text(name: str) -> str:
    return files("movierec.ui").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
