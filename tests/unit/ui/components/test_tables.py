from __future__ import annotations

from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.theme import OKABE_ITO, version_style

COLUMNS = [Column("System"), Column("RMSE", numeric=True, hint='"lower" is better')]


def test_all_text_is_escaped() -> None:
    html = html_table("<c>", COLUMNS, [[Cell("<script>", note="<i>"), "<b>"]])
    for tag in ("<c>", "<script>", "<i>", "<b>"):
        assert tag not in html
    assert 'title="&quot;lower&quot; is better"' in html


def test_best_highlighted_and_numeric_cells_are_marked() -> None:
    html = html_table(
        "t", COLUMNS, [["v1", Cell("0.92", best=True)], ["floor", "1.1"]], highlight=[0]
    )
    assert html.count('<tr class="mr-on">') == 1
    assert html.count('class="mr-num mr-best"') == 1
    assert '<th scope="row" class="">v1</th>' in html
    assert "★" in html.split("0.92")[0]


def test_versions_differ_in_colour_and_dash_until_28() -> None:
    names = [f"v{i}" for i in range(28)]
    styles = [version_style(name, names) for name in names]
    assert len({(s.colour, s.dash) for s in styles}) == 28
    assert [s.colour for s in styles[:7]] == list(OKABE_ITO)
