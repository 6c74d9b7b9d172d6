"""A person's own CSV through the pages and real processes: import, train, take up again."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from playwright.sync_api import expect

from movierec.settings import Settings
from movierec.store import open_store
from tests.browser.conftest import Watched
from tests.conftest import PROJECT
from tests.support.factories import make_dataset

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RUN_MS = 180_000  # loading torch takes most of it on a busy machine


def test_own_ratings_become_a_version(settings: Settings, watched: Watched) -> None:
    ratings = make_dataset(n_users=60, n_movies=40).ratings
    table = pd.DataFrame({"who": ratings.user, "what": ratings.movie, "stars": ratings.rating})
    table.to_csv(settings.home / "mine.csv", index=False)
    page = watched.page
    watched.open("Data")
    for label, text in (
        ("Path", str(settings.home / "mine.csv")),
        ("User column", "who"),
        ("Movie column", "what"),
        ("Rating column", "stars"),
    ):
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Import ratings").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        f"mine: 60 users gave {len(table)} ratings", timeout=RUN_MS
    )
    page.get_by_test_id("stSidebar").get_by_role("link", name="Home").click()
    page.get_by_role("button", name="Train the first version").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("is in training")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        re.compile(r"v\S+ predicts ratings with an error of"), timeout=RUN_MS
    )
    expect(page.get_by_role("row", name=re.compile("averages"))).to_be_visible()
    watched.check()


def test_an_interrupted_run_is_taken_up_again(settings: Settings, watched: Watched) -> None:
    with open_store(settings) as store:
        store.datasets.add(make_dataset(), {})
    dies_at_once = (
        "from movierec.settings import load_settings\n"
        "from movierec.store import open_store\n"
        "store = open_store(load_settings())\n"
        "request = {'preset': 'report', 'dataset': 'planted', 'hyperparameters': {'epochs': 3}}\n"
        "run = store.runs.add('train', preset='report', dataset_name='planted', request=request)\n"
        "store.runs.start(run.id)\n"
    )
    environment = os.environ | {"MOVIEREC_HOME": str(settings.home)}
    subprocess.run([sys.executable, "-c", dies_at_once], cwd=PROJECT, env=environment, check=True)
    page = watched.page
    watched.open()
    expect(page.get_by_test_id("stAlert")).to_contain_text("was interrupted at 0")
    page.get_by_role("button", name=re.compile("Resume run")).click()
    expect(page.get_by_test_id("stProgress")).to_be_visible()
    succeeded = re.compile("report on planted .* succeeded")
    expect(page.get_by_role("row", name=succeeded)).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    watched.check()
