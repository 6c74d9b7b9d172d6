"""HTML files that need no network: Jinja2 templates with style, scripts and figures inlined.

A template extends `page.html.j2`, which lies beside this module, and fills its blocks `style` and
`body`; `{% include %}` puts a file of the template's own folder into the page as it is. What a
template is given is escaped, except for `Markup`. `figure.html.j2` has a macro for a `Figure`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:  # slow to import, and not every page has figures
    import plotly.graph_objects as go

__all__ = ["Figure", "figure", "render"]

_HERE = Path(__file__).parent
# A script is let through by its hash alone: text that slipped past the escaping would not run.
_POLICY = (
    "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Figure:
    """A Plotly figure as a template draws it: `title` is HTML, `data` JSON, `height` in pixels."""

    title: Markup
    alt: str
    height: int
    data: Markup


def figure(chart: go.Figure, *, title: str, alt: str, height: int) -> Figure:
    """Return a figure for a template; `title` has its text escaped already, as Plotly needs it.

    Colours of text and axes are those of the page: `figures.js` sets them.
    """
    from plotly.io.json import to_json_plotly

    whole = chart.to_dict()
    layout = {k: v for k, v in whole["layout"].items() if k not in ("template", "meta")}
    # Plotly writes "<" and "/" as their code points: the data cannot end the script it is in
    data = to_json_plotly({"data": whole["data"], "layout": layout})
    return Figure(Markup(title), alt, height, Markup(data))


def render(
    template: Path, *, folders: Iterable[Path] = (), has_figures: bool = True, **context: object
) -> str:
    """Return a template's page.

    Args:
        template: its file.
        folders: more places of files that it includes.
        has_figures: bring Plotly, which is five megabytes; without it no script may run.
        context: what it reads; `title`, the page's, is needed.

    """
    searched = tuple(map(str, (template.parent, *folders, _HERE)))
    scripts = [Markup(script) for script in (_plotly(), _drawing())] if has_figures else []
    policy = _POLICY.format(hashes=" ".join(map(_hash, scripts)) or "'none'")
    found = _environment(searched).get_template(template.name)
    return found.render(scripts=scripts, policy=policy, **context)


@cache
def _environment(folders: tuple[str, ...]) -> Environment:
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _drawing() -> str:
    return (_HERE / "figures.js").read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
