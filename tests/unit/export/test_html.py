"""HTML files from templates: escaped, and closed to scripts that are not their own."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from movierec.export import html

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "own.html.j2"
    path.write_text(
        '{% extends "page.html.j2" %}{% block style %}{% include "own.css" %}{% endblock %}'
        "{% block body %}<p>{{ text }}</p>{{ table }}{% endblock %}"
    )
    (tmp_path / "own.css").write_text("p > b { color: red }")
    return path


def policy_of(page: str) -> str:
    return unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])


def test_text_is_escaped_and_markup_is_not(template: Path) -> None:
    page = html.render(template, title=HOSTILE, text=HOSTILE, table=Markup("<b>1</b>"))
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "<b>1</b>" in page
    assert "p > b { color: red }" in page
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")


def test_only_scripts_of_the_page_may_run(template: Path) -> None:
    page = html.render(template, title="t", text="", table="")
    assert policy_of(page).count("'sha256-") == 2
    plain = html.render(template, has_figures=False, title="t", text="", table="")
    assert "script-src 'none'" in policy_of(plain)
    assert "<script" not in plain
    assert "noscript" not in plain


def test_a_value_that_is_missing_is_an_error(template: Path) -> None:
    with pytest.raises(UndefinedError):
        html.render(template, has_figures=False, title="t", text="")
