"""`benchmarks/scale.py fit`: measurements in, the cost model and the page's tables out."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.live.scale_fit import MEMORY, SECONDS
from tests.conftest import PROJECT

TRUE_SECONDS = dict(zip(SECONDS, (0.02, 2e-7, 1e-9, 3e-9, 2e-11), strict=True))
TRUE_MEMORY = dict(zip(MEMORY, (600.0, 2e-5, 4e-5, 3e-7, 8e-6), strict=True))
SIZES = {"0.1": (100_000, 943, 1682), "1": (1_000_209, 6040, 3883), "10": (10**7, 69_878, 10_681)}
MODELS = ((64, 2), (32, 2), (128, 2), (64, 1), (64, 3))
RUN = {
    "date": "2026-01-02T03:04:05+00:00", "command": "python benchmarks/scale.py all",
    "machine": {"cpu": "Some CPU", "cores": 2, "memory_gib": 24, "system": "Linux"},
    "libraries": {"torch": "2"}, "git": {"commit": "0123456789abcdef", "dirty": False},
}  # fmt: skip
PAGE = "# Scale\n\nTyped.\n\n" + "".join(
    f"<!-- measured: {name} -->\nOLD\n<!-- end -->\n\nTyped after {name}.\n\n"
    for name in ("import", "train", "product", "model", "room", "plan", "runs")
)


def point(size: str, width: int, layers: int, parts: int = 1) -> dict[str, Any]:
    ratings, users, movies = SIZES[size]
    found: dict[str, Any] = {
        "size": size, "ratings": ratings, "train": int(0.72 * ratings), "users": users,
        "movies": movies, "hidden_dim": width, "num_layers": layers, "steps_per_pass": 5 * parts,
        "step": 1.0, "per_rating": 1e-6, "validation": None, "before": 2.0, "cpu": 1.0,
    }  # fmt: skip
    for name, terms, true in (
        ("pass", SECONDS, TRUE_SECONDS), ("peak_mb", MEMORY, TRUE_MEMORY),
    ):  # fmt: skip
        found[name] = sum(true[term] * of(found) for term, of in terms.items())
    return found


def report() -> dict[str, Any]:
    parts = {f"train, {size}": point(size, 64, 2) for size in SIZES}
    parts["cost, 1"] = {
        "size": "1",
        "points": [point(size, *model) for size, model in itertools.product(SIZES, MODELS[1:])]
        + [point("10", 64, 2, parts=2), point("10", 64, 2, parts=5)],
    }
    parts["import, 1"] = {
        "size": "1", "seconds": 10.0, "stages": {"reading": 4.0}, "ratings": 1_000_209,
        "files_mb": 26.0, "database_mb": None, "snapshot_mb": 28.0, "peak_mb": 512.0,
    }  # fmt: skip
    return {"format": 1, "parts": {n: {"run": RUN, "found": f} for n, f in parts.items()}}


def fit(report: Path, page: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/scale.py", "fit", "--out", report, "--page", page]
    return subprocess.run(
        [*command, "--home", report.parent], cwd=PROJECT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_measurements_become_a_model_and_tables(tmp_path):
    pytest.importorskip("matplotlib")
    kept, page = tmp_path / "scale.json", tmp_path / "SCALE.md"
    kept.write_text(json.dumps(report()))
    page.write_text(PAGE)
    done = fit(kept, page)
    assert (done.returncode, done.stderr) == (0, "")

    parts = json.loads(kept.read_text())["parts"]
    assert {**parts, "fit": None} == {**report()["parts"], "fit": None}
    model = parts["fit"]["found"]
    assert model["points"] == 17
    for name, true in (("seconds", TRUE_SECONDS), ("memory_mb", TRUE_MEMORY)):
        assert model[name]["coefficients"] == pytest.approx(true, rel=1e-3)
        assert model[name]["worst_error"] < 1e-6

    text = page.read_text()
    assert "OLD" not in text
    assert "| 1 | 4.00 | 10 | 100,021 | 0.50 | 26 | – | 28 | – |" in text
    assert "<!-- measured: product -->\n\nNot measured yet.\n\n<!-- end -->" in text
    assert "| train | 0.1, 1, 10 | 2026-01-02 | `0123456789` |" in text
    for name in ("import", "train", "product", "model", "room", "plan", "runs"):
        assert f"Typed after {name}.\n" in text
    # 0.8 · 64 GiB less what nothing needs, over what each of so many ratings does
    each = 2e-5 + 0.72 * (4e-5 + 64 * 3e-7) + (200_948 + 87_585) / 32_000_204 * 3 * 64 * 8e-6
    whole = next(line for line in text.splitlines() if line.startswith("| d 64, L 2, whole"))
    assert int(whole.split("|")[-2].replace(",", "")) == pytest.approx(
        (0.8 * 65_536 - 600) / each / 1e6, rel=0.01
    )
