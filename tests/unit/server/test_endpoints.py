from __future__ import annotations

import json
import math
import re

import pytest

from movierec.inference import Filters
from movierec.server import responses
from movierec.store import open_store
from tests.support.serving import Api, fresh
from tests.support.trained import copied


@pytest.fixture(scope="module")
def api(trained_project, tmp_path_factory):
    with Api(copied(trained_project, tmp_path_factory.mktemp("api"))) as started:
        yield started


def told(answer, kind, status=200):
    """Return an answer's content, compared with what the schema says of it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    kind.model_validate_json(answer.content, strict=False)
    return json.loads(answer.content, parse_constant=pytest.fail)


def shown(lines):
    return [(line.movie_id, line.rank, line.score, line.predicted_rating) for line in lines]


def read(lines):
    return [
        (line["movie"], line["rank"], line["score"], line["predicted_rating"]) for line in lines
    ]


def test_a_list_is_the_library_s_own(api):
    content = told(api.get("/recommend", user="u3", k=7), responses.ListReply)
    version = fresh(api.settings)
    assert read(content["recommendations"]) == shown(version.recommend("u3", 7))
    assert (content["version"], content["reason"], content["chosen"]) == (
        "v1.0.0", "known", "current",
    )  # fmt: skip
    assert {line["version"] for line in content["recommendations"]} == {"v1.0.0"}
    assert "distribution" not in content["recommendations"][0]


def test_a_list_as_it_was_asked_for(api):
    asked = {
        "genres": ["Drama", "Comedy"], "without_genres": "Horror", "year_from": 1940,
        "year_to": 1990, "min_ratings": 3, "exclude": ["m1", "m2"],
    }  # fmt: skip
    answer = api.get(
        "/recommend", user="u3", k=6, by="rating", diversity=0.4, exclude_seen=False,
        distribution=True, version="v1.1.0", **asked,
    )  # fmt: skip
    content = told(answer, responses.ListReply)
    filters = Filters(("Drama", "Comedy"), ("Horror",), 1940, 1990, 3, ("m1", "m2"))
    lines = fresh(api.settings, "v1.1.0").recommend(
        "u3", 6, by="rating", diversity=0.4, exclude_seen=False, filters=filters
    )
    assert lines
    assert read(content["recommendations"]) == shown(lines)
    assert content["chosen"] == "asked"
    found = [tuple(line["distribution"]) for line in content["recommendations"]]
    assert found == [line.distribution for line in lines]


def test_a_long_diverse_list_is_made_beside_the_others(api):
    asked = {"user": "u3", "k": 200, "diversity": 0.3}
    content = told(api.get("/recommend", **asked), responses.ListReply)
    lines = fresh(api.settings).recommend("u3", 200, diversity=0.3)
    assert read(content["recommendations"]) == shown(lines)


def test_somebody_unknown_gets_the_most_popular(api):
    content = told(api.get("/recommend", user="nobody"), responses.ListReply)
    assert content["reason"] == "fallback"
    assert read(content["recommendations"]) == shown(fresh(api.settings).recommend("nobody"))


def test_scores_are_in_the_order_of_the_question(api):
    content = told(api.post("/score", user="u5", movies=["m9", "m2", "m9"]), responses.ScoreReply)
    version = fresh(api.settings)
    movies = ["m9", "m2", "m9"]
    assert [line["movie"] for line in content["scores"]] == movies
    assert [line["score"] for line in content["scores"]] == version.score("u5", movies).tolist()
    predicted = [line["predicted_rating"] for line in content["scores"]]
    assert predicted == version.predict("u5", movies).tolist()


def test_scores_without_stars(api):
    content = told(
        api.post("/score", user="u5", movies=["m9"], version="v1.3.0"), responses.ScoreReply
    )
    assert content["scores"][0]["predicted_rating"] is None
    content = told(api.post("/score", user="nobody", movies=["m9"]), responses.ScoreReply)
    assert content["reason"] == "fallback"
    assert content["scores"][0]["predicted_rating"] is None


def test_similar_movies(api):
    content = told(api.get("/similar", movie="m4", k=3), responses.SimilarReply)
    found = [(line["movie"], line["similarity"]) for line in content["similar"]]
    lines = fresh(api.settings).similar("m4", 3)
    assert found == [(line.movie_id, line.similarity) for line in lines]


@pytest.mark.parametrize("user", ["u7", "nobody"])
@pytest.mark.parametrize("version", ["v1.0.0", "v1.3.0", "v1.4.0"])
def test_why(api, user, version):
    answer = api.get("/explain", user=user, movie="m4", most=2, version=version)
    content = told(answer, responses.ExplainReply)
    found = fresh(api.settings, version).explain(user, "m4", most=2)
    assert content["sentence"] == found.sentence
    assert [c["movie"] for c in content["causes"]] == [c.movie_id for c in found.causes]
    assert [c["effect"] for c in content["causes"]] == [c.effect for c in found.causes]
    assert content["user"] == user
    assert content["version"] == version


RATINGS = {"m1": 5, "m2": 1, "m7": 4.0}


def test_a_newcomer(api):
    answer = api.post(
        "/newcomer", ratings=RATINGS, k=4, features={"age": 30, "gender": "F"}, explain=2
    )
    content = told(answer, responses.NewcomerReply)
    version = fresh(api.settings)
    lines = version.recommend_for_new_user(RATINGS, {"age": 30, "gender": "F"}, 4)
    assert read(content["recommendations"]) == shown(lines)
    assert content["reason"] == "newcomer"
    whys = [line.get("explanation") for line in content["recommendations"]]
    person = version.newcomer(RATINGS, {"age": 30, "gender": "F"})
    assert [w and w["sentence"] for w in whys] == [
        version.explain(person, lines[0].movie_id).sentence,
        version.explain(person, lines[1].movie_id).sentence,
        None,
        None,
    ]


def test_a_newcomer_without_ratings_and_one_of_a_model_that_predicts_no_stars(api):
    told(api.post("/newcomer", ratings={}), responses.NewcomerReply)
    content = told(
        api.post("/newcomer", ratings=RATINGS, version="v1.3.0", filters=None),
        responses.ErrorReply,
        422,
    )
    assert content["error"]["where"] == "body.filters"
    content = told(
        api.post("/newcomer", ratings=RATINGS, version="v1.3.0", explain=1), responses.NewcomerReply
    )
    assert content["recommendations"][0]["predicted_rating"] is None


def test_a_thumb_is_kept_and_replaced(api):
    first = told(
        api.post("/feedback", user="u1", movie="m3", liked=True, rank=2, version="v1.1.0"),
        responses.FeedbackReply, 201,
    )  # fmt: skip
    assert (first["version"], first["liked"], first["rank"]) == ("v1.1.0", True, 2)
    told(api.post("/feedback", user="u1", movie="m3", liked=False), responses.FeedbackReply, 201)
    version = fresh(api.settings)
    with open_store(api.settings) as store:
        (kept,) = store.feedback.of_user(version.dataset.fingerprint, "u1")
    assert (kept.version, kept.movie_id, kept.is_liked, kept.rank) == ("v1.0.0", "m3", False, None)
    assert kept.source == "api"


def test_a_thumb_on_a_movie_that_is_not_there_is_not_kept(api):
    content = told(
        api.post("/feedback", user="u2", movie="mX", liked=True), responses.ErrorReply, 404
    )
    assert content["error"]["code"] == "not_found"
    with open_store(api.settings) as store:
        assert [t for t in store.feedback.list() if t.user_id == "u2"] == []


def test_the_version_says_what_it_is(api):
    content = told(api.get("/version"), responses.VersionReply)
    version = fresh(api.settings)
    assert content["version"] == version.name
    assert content["is_current"] is True
    assert content["data"]["fingerprint"] == version.dataset.fingerprint
    rmse = content["metrics"]["val_rmse"]
    assert rmse == version.metadata.metrics["val_rmse"]
    assert math.isfinite(rmse)
    other = told(api.get("/version", version="v1.4.0"), responses.VersionReply)
    assert (other["version"], other["is_current"], other["model"]) == ("v1.4.0", False, "biases")


def test_health(api):
    content = told(api.get("/health"), responses.HealthReply)
    assert (content["status"], content["ready"], content["version"]) == ("ok", True, "v1.0.0")
    assert told(api.get("/health", ready=True), responses.HealthReply)["database"] == "ok"


def test_the_page_of_the_api_needs_no_internet_and_tells_everything(api):
    page = api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|<script|src=", page.text)
    schema = api.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/health", "/version", "/metrics", "/recommend", "/newcomer", "/score", "/similar",
        "/explain", "/feedback",
    }  # fmt: skip
    for path, methods in schema["paths"].items():
        for method, what in methods.items():
            assert f"{method.upper()} {path}" in page.text
            for each in what.get("parameters", []):
                assert f"<code>{each['name']}</code>" in page.text
            assert what["description"]
            assert {"401", "422", "429", "503"} <= set(what["responses"])
    assert "<code>ratings</code> (needed)" in page.text
    assert api.get("/").headers["location"] == "docs"


def test_the_schema_has_the_bounds(api):
    schema = api.get("/openapi.json").json()
    fields = {each["name"]: each for each in schema["paths"]["/recommend"]["get"]["parameters"]}
    bounds = {name: fields[name]["schema"] for name in ("k", "diversity", "min_ratings")}
    assert {name: (each["minimum"], each["maximum"]) for name, each in bounds.items()} == {
        "k": (1, 1000), "diversity": (0, 1), "min_ratings": (0, 1_000_000_000)
    }  # fmt: skip
    assert [name for name, each in fields.items() if each["required"]] == ["user"]
    year = {"type": "integer", "minimum": 1, "maximum": 9999}
    assert fields["year_from"]["schema"]["anyOf"] == [year, {"type": "null"}]
    assert fields["user"]["schema"]["maxLength"] == 255
    page = api.get("/docs").text
    assert "integer (≥ 1, ≤ 1000, default 10)" in page
    assert "left out: the user&#39;s own" in page


def test_every_answer_has_the_request_s_id(api):
    given = {"X-Request-ID": "abc-1"}
    assert api.ask("GET", "/health", headers=given).headers["x-request-id"] == "abc-1"
    made = api.ask("GET", "/nothing", headers={"X-Request-ID": "x" * 101}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
