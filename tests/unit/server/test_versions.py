from __future__ import annotations

import asyncio
import math
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from movierec.errors import SettingsError
from movierec.registry import Registry
from movierec.server.ab_split import ABSplit
from movierec.server.encoding import Answer, AnswerCache
from movierec.server.served_version import LEAST, Drift, stability_index
from movierec.server.versions import MOST
from movierec.store import open_store
from tests.support.project import import_tiny, train_version
from tests.support.serving import Api, fresh
from tests.support.trained import VERSIONS


def promote(settings, name):
    with open_store(settings) as store:
        Registry(settings, store).promotion.promote(name)


def delete(settings, name):
    with open_store(settings) as store:
        Registry(settings, store).delete(name)


def version_of(api, **asked):
    answer = api.get("/recommend", **{"user": "u1", **asked})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert {line["version"] for line in content["recommendations"]} == {content["version"]}
    return content["version"]


def test_a_version_that_becomes_current_answers_and_nothing_fails_meanwhile(trained):
    with Api(trained) as api:
        for name in ("v1.1.0", "v1.3.0", "v1.0.0", "v1.3.0"):
            promote(trained, name)
            api.until(lambda name=name: version_of(api) == name)
            content = api.get("/recommend", user="u4").json()
            lines = fresh(trained, name).recommend("u4")
            assert [each["movie"] for each in content["recommendations"]] == [
                line.movie_id for line in lines
            ]
        assert "movierec_current_changes_total 4.0" in api.get("/metrics").text


def test_a_version_in_memory_is_current_for_the_very_next_question(trained):
    with Api(trained) as api:
        assert version_of(api, version="v1.2.0") == "v1.2.0"
        promote(trained, "v1.2.0")
        assert version_of(api) == "v1.2.0"
        promote(trained, "v1.0.0")
        assert version_of(api) == "v1.0.0"


def test_the_old_version_answers_while_the_new_one_is_loaded(trained):
    with Api(trained) as api:
        load, waits = api.service.versions._load, asyncio.Event()
        begun = []

        def slow(name, data):
            begun.append(name)
            asyncio.run_coroutine_threadsafe(waits.wait(), loop).result(60)
            return load(name, data)

        async def this_loop():
            return asyncio.get_running_loop()

        loop = api.run(this_loop())
        api.service.versions._load = slow
        promote(trained, "v1.1.0")
        assert version_of(api) == "v1.0.0"
        api.until(lambda: begun)
        assert [version_of(api) for _ in range(5)] == ["v1.0.0"] * 5
        assert begun == ["v1.1.0"]
        waits.set()
        api.until(lambda: version_of(api) == "v1.1.0")
        assert begun == ["v1.1.0"]


def test_an_answer_kept_of_one_version_is_never_another_s(trained):
    with Api(trained) as api:
        first = api.get("/recommend", user="u4").content
        assert api.get("/recommend", user="u4").content == first
        assert (api.service.cache.hits, api.service.cache.misses) == (1, 1)
        promote(trained, "v1.1.0")
        api.until(lambda: version_of(api) == "v1.1.0")
        assert api.get("/recommend", user="u4").json()["version"] == "v1.1.0"


def test_a_version_that_was_deleted_is_gone_and_current_answers(trained):
    with Api(trained, api_traffic="v1.2.0=1") as api:
        assert version_of(api) == "v1.2.0"
        assert version_of(api, version="v1.4.0") == "v1.4.0"
        delete(trained, "v1.2.0")
        delete(trained, "v1.4.0")
        content = api.get("/recommend", user="u1").json()
        assert (content["version"], content["chosen"]) == ("v1.0.0", "current")
        for name in ("v1.2.0", "v1.4.0"):
            assert api.get("/recommend", user="u1", version=name).status_code == 404


def test_files_that_were_replaced_under_the_same_name_are_read_again(trained):
    with Api(trained) as api:
        assert version_of(api, version="v1.2.0") == "v1.2.0"
        served = api.service.versions._loaded["v1.2.0"]
        delete(trained, "v1.2.0")
        with open_store(trained) as store:
            Registry(trained, store).restore("v1.2.0")
        metadata = trained.models_path / "v1.2.0" / "metadata.json"
        copy = metadata.with_suffix(".copy")
        shutil.copy(metadata, copy)
        copy.replace(metadata)
        assert version_of(api, version="v1.2.0") == "v1.2.0"
        assert api.service.versions._loaded["v1.2.0"] is not served


def test_a_current_version_that_cannot_be_loaded_leaves_the_one_before(trained):
    with Api(trained) as api:
        promote(trained, "v1.1.0")
        for array in (trained.models_path / "v1.1.0" / "serving").iterdir():
            array.write_bytes(b"no array")
        api.until(lambda: [version_of(api), api.get("/health").json()["problem"]][1])
        assert version_of(api) == "v1.0.0"
        health = api.get("/health").json()
        assert (health["status"], health["ready"]) == ("degraded", True)
        assert "v1.1.0" in health["problem"]
        promote(trained, "v1.2.0")
        api.until(lambda: version_of(api) == "v1.2.0")
        assert api.get("/health").json()["status"] == "ok"


def test_without_a_version_it_says_so_and_takes_the_first_that_is_trained(settings):
    import_tiny(settings)
    with Api(settings) as api:
        answer = api.get("/recommend", user="u1")
        assert answer.status_code == 503
        assert "movierec train" in answer.json()["error"]["hint"]
        health = api.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "not ready")
        assert api.get("/health", ready=True).status_code == 503
        train_version(settings, "biases")
        assert version_of(api) == "v1.0.0"
        assert api.get("/health", ready=True).status_code == 200


def test_only_so_many_versions_stay_in_memory(trained):
    with Api(trained) as api:
        for name in VERSIONS:
            assert version_of(api, version=name) == name
        assert api.service.versions.names == ["v1.0.0", *VERSIONS[-MOST:]]
        data = {id(served.version.dataset) for served in api.service.versions.loaded()}
        assert len(data) == 1
        assert version_of(api) == "v1.0.0"


def test_answers_that_were_asked_for_longest_ago_are_forgotten():
    cache, answer = AnswerCache(2), Answer(b"", "v1.0.0", "known")
    cache.keep("a", answer), cache.keep("b", answer)
    assert cache.get("a")
    cache.keep("c", answer)
    assert [cache.get(key) is answer for key in "abc"] == [True, False, True]
    assert (len(cache), cache.hits, cache.misses) == (2, 3, 1)


def test_kept_answers_take_no_more_room_than_they_may():
    cache = AnswerCache(most_bytes=100)
    for number in range(20):
        cache.keep(number, Answer(b"x" * 30, "v1.0.0", "known"))
    cache.keep(19, Answer(b"x" * 35, "v1.0.0", "known"))  # in place of the one before
    assert (len(cache), cache.bytes) == (3, 95)
    cache.keep("large", Answer(b"x" * 101, "v1.0.0", "known"))
    assert (len(cache), cache.bytes) == (0, 0)


def test_the_answer_to_a_very_long_question_is_not_kept(trained):
    with Api(trained) as api:
        version_of(api, exclude=["m1"] * 500)
        assert len(api.service.cache) == 0
        version_of(api, exclude=["m1"])
        assert len(api.service.cache) == 1


# --- shares of the users


@pytest.mark.parametrize(
    "text",
    ["v1.2.0", "v1.2.0=0.5", "v1.2.0=half,current=0.5", "v1.2.0=2,current=-1", "newest=1",
     "v1.2.0=0.5,v1.2.0=0.5", "v1.2.0=nan,current=1", "=1", "v1.2.0=0.5,current=0.6"],
)  # fmt: skip
def test_shares_that_cannot_be_used(text):
    with pytest.raises(SettingsError, match="--split"):
        ABSplit.parse(text, "")


def test_shares_are_kept_by_a_hash_that_stays():
    traffic = ABSplit.parse("v1.1.0=0.2, current=0.5,v1.2.0=0.3", "movierec")
    users = [str(number) for number in range(10_000)]
    assigned = [traffic.version_for(user) for user in users]
    for name, share in (("v1.1.0", 0.2), ("current", 0.5), ("v1.2.0", 0.3)):
        assert assigned.count(name) / len(users) == pytest.approx(share, abs=0.015)
    assert [traffic.position(user) for user in ("1", "196", "ü")] == pytest.approx(
        PLACES, abs=1e-12
    )
    other = ABSplit.parse("v1.1.0=0.2,current=0.5,v1.2.0=0.3", "another")
    moved = sum(a != other.version_for(user) for a, user in zip(assigned, users, strict=True))
    assert moved / len(users) == pytest.approx(1 - 0.2**2 - 0.5**2 - 0.3**2, abs=0.02)


# sha256("movierec:1") and so on, its first 8 bytes by 2**64; never to change
PLACES = [0.30925502183205095, 0.7142544844023135, 0.14166714974497424]


def test_a_share_that_grows_moves_nobody_who_had_it():
    before, after = (ABSplit.parse(f"v1.1.0={s},current={1 - s}", "x") for s in (0.2, 0.4))
    users = [str(number) for number in range(2000)]
    assert all(after.version_for(u) == "v1.1.0" for u in users if before.version_for(u) == "v1.1.0")


def test_users_are_answered_by_their_share_and_their_thumbs_count_for_it(trained):
    split = "v1.1.0=0.5,current=0.5"
    traffic = ABSplit.parse(split, trained.api_salt)
    for _ in range(2):  # a restart changes nothing
        with Api(trained, api_traffic=split) as api:
            for number in range(12):
                user = f"u{number}"
                expected = traffic.version_for(user).replace("current", "v1.0.0")
                content = api.get("/recommend", user=user).json()
                assert (content["version"], content["chosen"]) == (expected, "share")
                thumb = api.post("/feedback", user=user, movie="m1", liked=True).json()
                assert thumb["version"] == expected
                named = api.get("/recommend", user=user, version="v1.0.0").json()
                assert (named["version"], named["chosen"]) == ("v1.0.0", "asked")
            assert api.get("/version").json()["traffic"] == [
                {"version": "v1.1.0", "share": 0.5}, {"version": "current", "share": 0.5}
            ]  # fmt: skip


def test_a_newcomer_stays_with_a_version(trained):
    with Api(trained, api_traffic="v1.1.0=0.5,current=0.5") as api:

        def version(**asked):
            return api.post("/newcomer", **asked).json()["version"]

        found = [{version(ratings={f"m{n}": 4}) for _ in range(2)} for n in range(12)]
        assert all(len(versions) == 1 for versions in found)
        assert set.union(*found) == {"v1.0.0", "v1.1.0"}
        named = {version(ratings={f"m{n}": 4}, user="somebody") for n in range(12)}
        assert len(named) == 1


# --- what is counted


def served(settings):
    with open_store(settings) as store:
        return {(row.version, row.source): row.lists for row in store.served.by_day()}


def test_lists_are_counted_by_version_and_written_at_the_end(trained):
    with Api(trained) as api:
        for _ in range(3):
            version_of(api)
        version_of(api, version="v1.1.0")
        api.post("/newcomer", ratings={"m1": 5})
        api.get("/similar", movie="m1")
        api.get("/recommend", user="u1", k=-1)
        assert served(trained) == {}
    assert served(trained) == {("v1.0.0", "api"): 4, ("v1.1.0", "api"): 1}


def test_counts_that_cannot_be_written_wait(trained):
    with Api(trained) as api:
        rename(trained, "served", "gone")
        version_of(api)
        api.run(api.service.list_counts.flush())
        assert version_of(api) == "v1.0.0"
        rename(trained, "gone", "served")
        assert served(trained) == {}
        api.run(api.service.list_counts.flush())
        assert served(trained) == {("v1.0.0", "api"): 2}
    assert served(trained) == {("v1.0.0", "api"): 2}


def rename(settings, table, name):
    """Rename a table, so that whoever looks for it fails."""
    with closing(sqlite3.connect(str(settings.database_path))) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO {name}")


def test_metrics_tell_requests_answers_and_the_cache(trained):
    with Api(trained) as api:
        for user in ("u1", "u1", "nobody"):
            version_of(api, user=user)
        api.post("/newcomer", ratings={"m1": 5})
        api.get("/recommend", user="u1", k=0)
        api.get("/secret/path")
        answers = {"path": "/recommend", "version": "v1.0.0"}
        assert api.metric("movierec_answers_total", reason="known", **answers) == 2
        assert api.metric("movierec_answers_total", reason="fallback", **answers) == 1
        newcomer = {"path": "/newcomer", "version": "v1.0.0", "reason": "newcomer"}
        assert api.metric("movierec_answers_total", **newcomer) == 1
        assert api.metric("movierec_requests_total", path="/recommend", status="200") == 3
        assert api.metric("movierec_requests_total", path="/recommend", status="422") == 1
        assert api.metric("movierec_requests_total", path="other", status="404") == 1
        assert api.metric("movierec_request_seconds_count", path="/recommend") == 4
        assert api.metric("movierec_cache_lookups_total", result="hit") == 1
        assert api.metric("movierec_cache_lookups_total", result="miss") == 2
        assert "secret" not in api.get("/metrics").text
        assert "process_resident_memory_bytes" in api.get("/metrics").text


# --- drift


def test_the_stability_index_is_its_formula():
    assert stability_index([10, 10], [0.5, 0.5]) == 0
    by_hand = (0.9 - 0.5) * math.log(0.9 / 0.5) + (0.1 - 0.5) * math.log(0.1 / 0.5)
    assert stability_index([90, 10], [0.5, 0.5]) == pytest.approx(by_hand)
    assert stability_index([100, 0], [0.5, 0.5]) > 4
    assert math.isnan(stability_index([0, 0], [0.5, 0.5]))


def test_drift_is_small_for_what_was_expected_and_large_for_what_was_not():
    rng = np.random.default_rng(0)
    drift = Drift(window=2000)
    assert math.isnan(drift.index)
    drift.serve([4.0] * 10)  # before there is a reference
    drift.refer_to(rng.normal(3.8, 0.3, 2000).tolist())
    drift.serve(rng.normal(3.8, 0.3, LEAST - 1).tolist())
    assert math.isnan(drift.index)
    drift.serve(rng.normal(3.8, 0.3, 2000).tolist())
    assert drift.index < 0.05
    assert drift.served_mean == pytest.approx(3.8, abs=0.03)
    drift.serve(rng.normal(4.3, 0.3, 2000).tolist())
    assert drift.index > 0.25
    assert drift.served_mean == pytest.approx(4.3, abs=0.03)
    drift.serve(rng.normal(3.8, 0.3, 2000).tolist())  # only the last 2,000 count
    assert drift.index < 0.05


def test_drift_where_all_predictions_are_alike():
    drift = Drift()
    drift.refer_to([3.0] * 100)
    drift.serve([3.0] * LEAST)
    assert drift.index == 0
    assert drift.served_mean == 3.0


def test_the_api_s_drift_is_near_zero_for_the_validation_users_themselves(trained):
    with Api(trained) as api:
        api.until(lambda: not math.isnan(api.service.versions.loaded()[0].drift.reference_mean))
        users = [str(user) for user in fresh(trained).dataset.users.ids]
        for user in users:
            version_of(api, user=user)
        index = api.metric("movierec_drift_psi", version="v1.0.0")
        assert 0 <= index < 0.1
        mean = api.metric("movierec_served_rating_mean", version="v1.0.0")
        expected = api.metric("movierec_reference_rating_mean", version="v1.0.0")
        assert mean == pytest.approx(expected, abs=0.1)
        for user in users:  # what was asked for otherwise is no drift
            version_of(api, user=user, genres="Horror")
        assert api.metric("movierec_drift_psi", version="v1.0.0") == index
