"""`movierec recommend` and `movierec similar`, typed as people type them."""

from __future__ import annotations

import json

import pytest

from movierec.inference import load_version
from movierec.workflows.restore import in_graph
from tests.support.project import movierec, one_line


def facts_of(settings, *words):
    said = movierec(settings, *words, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


@pytest.fixture(scope="module")
def project(trained_project, tmp_path_factory):
    from tests.support.trained import copied

    return copied(trained_project, tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def version(project):
    return load_version("current", project)


def listed(settings, *words):
    return facts_of(settings, "recommend", "--user", "u1", *words)["recommendations"]


def test_filters_reach_the_list(project, version):
    everything = listed(project, "-k", 40, "--include-seen")
    assert {"Comedy", "Horror"} <= {genre for line in everything for genre in line["genres"]}
    some = listed(project, "--genre", "Comedy", "--genre", "Drama", "--without-genre", "Horror")
    assert some
    for line in some:
        assert {"Comedy", "Drama"} & {*line["genres"]}
        assert "Horror" not in line["genres"]
    years = listed(project, "--year-from", 1990, "--year-to", 1999, "-k", 40)
    assert years
    assert all(1990 <= line["year"] <= 1999 for line in years)
    first = everything[0]["movie_id"]
    left = listed(project, "-k", 40, "--include-seen", "--exclude", first)
    assert [line["movie_id"] for line in left] == [line["movie_id"] for line in everything[1:]]
    counts = dict(zip(version.dataset.movies.ids, version.popularity.tolist(), strict=True))
    often = listed(project, "-k", 40, "--include-seen", "--min-ratings", 20)
    assert {line["movie_id"] for line in often} == {m for m, n in counts.items() if n >= 20}


def test_order_and_diversity_reach_the_list(project, version):
    stars = [line["predicted_rating"] for line in listed(project, "--by", "rating")]
    assert stars == sorted(stars, reverse=True)
    mixed = [line["movie_id"] for line in listed(project, "--diversity", 0.7)]
    assert mixed == [line.movie_id for line in version.recommend("u1", diversity=0.7)]
    assert mixed != [line["movie_id"] for line in listed(project)]


def test_why_is_said_of_each_movie(project, version):
    lines = listed(project, "-k", 3, "--why")
    expected = [version.explain("u1", line["movie_id"]).sentence for line in lines]
    assert [line["why"] for line in lines] == expected
    said = movierec(project, "recommend", "--user", "u1", "-k", 3, "--why", width=300)
    assert [line for line in said.out.splitlines() if line[:3] in ("1. ", "2. ", "3. ")] == [
        f"{place}. {sentence}" for place, sentence in enumerate(expected, 1)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "movieId,rating\nm1,5\nm2,1\n",
        "rating;movie_id;note\n5;m1;good\n1;m2;\n",
        "timestamp,movieId,rating\r\n1, m1 ,5\r\n\r\n2,m2,1.0\r\n",
    ],
)
def test_a_newcomer_from_a_file(project, version, tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    facts = facts_of(project, "recommend", "--ratings", path, "-k", 4)
    expected = version.recommend_for_new_user({"m1": 5.0, "m2": 1.0}, k=4)
    assert [line["movie_id"] for line in facts["recommendations"]] == [e.movie_id for e in expected]
    assert {line["reason"] for line in facts["recommendations"]} == {"newcomer"}
    assert facts["user"] is None
    said = movierec(project, "recommend", "--ratings", path)
    assert "For somebody with 2 ratings, by v1.0.0" in said.out
    assert "without training again" in " ".join(said.out.split())


def test_a_newcomer_may_be_asked_for_in_the_graph(project, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("movieId,rating\nm1,5\nm2,1\n")
    facts = facts_of(project, "recommend", "--ratings", path, "-k", 4, "--in-graph")
    person = in_graph("v1.0.0", project, {"m1": 5.0, "m2": 1.0})
    expected = load_version("v1.0.0", project).recommend_for(person, 4)
    assert [line["score"] for line in facts["recommendations"]] == pytest.approx(
        [line.score for line in expected]
    )
    said = movierec(project, "recommend", "--user", "u1", "--in-graph")
    assert "--in-graph goes with --ratings" in said.err


@pytest.mark.parametrize(
    ("text", "code", "cause"),
    [
        ("movieId,rating\nm1,5\nm999,3\n", 4, "Line 3 of mine.csv: there is no movie 'm999'"),
        ("movieId,rating\nm1,5\n\nm2,five\n", 3, "Line 4 of mine.csv: 'five' is no rating of"),
        ("movieId,rating\nm1,nan\n", 3, "Line 2 of mine.csv: 'nan' is no rating of 1 to 5 stars."),
        ("movieId,rating\nm1,5.5\n", 3, "Line 2 of mine.csv: '5.5' is no rating"),
        ("movieId,rating\nm1,\n", 3, "Line 2 of mine.csv: '' is no rating"),
        (
            "movieId,rating\nm1,5\nm2,3\nm1,4\n",
            3,
            "Line 4 of mine.csv rates movie 'm1', and so does line 2.",
        ),
        ("movieId,rating\nm1,5\nm2\n", 3, "Line 3 of mine.csv has another number of fields"),
        ("movieId,stars out of 5\nm1,5\n", 3, "Which column of mine.csv is the rating?"),
        ("a,rating\nm1,5\n", 3, "Which column of mine.csv is the movie?"),
        ("movieId,rating\n", 3, "mine.csv has a header and no rows."),
        ("", 3, "mine.csv is empty."),
    ],
)
def test_a_file_of_ratings_that_cannot_be_used_is_one_line(project, tmp_path, text, code, cause):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    said = movierec(project, "recommend", "--ratings", path)
    assert cause in one_line(said)
    assert said.code == code


def test_a_file_that_is_not_there(project, tmp_path):
    said = movierec(project, "recommend", "--ratings", tmp_path / "none.csv")
    assert (said.code, "There is no" in one_line(said)) == (3, True)
    (tmp_path / "folder").mkdir()
    said = movierec(project, "recommend", "--ratings", tmp_path / "folder")
    assert (said.code, "holds no files" in one_line(said)) == (3, True)


def test_a_version_that_cannot_answer_newcomers_says_so(trained, tmp_path):
    from tests.support.project import train_version

    name = train_version(trained, "svd").name
    path = tmp_path / "mine.csv"
    path.write_text("movieId,rating\nm1,5\n")
    said = movierec(trained, "recommend", "--ratings", path, "--version", name)
    assert "cannot answer somebody new without training" in " ".join(said.out.split())


def test_a_list_that_filters_leave_empty(project):
    said = movierec(project, "recommend", "--user", "u1", "--year-from", 2999)
    assert (said.code, "no movie is left to recommend" in said.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        ("--genre Polka", 4, "There is no genre 'Polka'"),
        ("--exclude m999", 4, "There is no movie 'm999'"),
        ("--year-from 2000 --year-to 1990", 7, "No year is from 2000 on and up to 1990."),
        ("--by rating --version v1.3.0", 7, "predicts no ratings to sort by"),
        ("--diversity 1.5", 2, "diversity"),
        ("--min-ratings -1", 2, "min-ratings"),
        ("--by colour", 2, "colour"),
        ("-k 0", 2, "-k"),
    ],
)
def test_what_cannot_be_asked_is_one_line(project, words, code, cause):
    said = movierec(project, "recommend", "--user", "u1", *words.split())
    assert cause in one_line(said)
    assert said.code == code


def test_similar_by_id_and_by_title(project, version):
    facts = facts_of(project, "similar", "m1", "-k", 4)
    expected = version.similar("m1", 4)
    assert [line["movie_id"] for line in facts["similar"]] == [e.movie_id for e in expected]
    assert facts["movie"]["movie_id"] == "m1"
    title = version.facts(0)[1]
    said = movierec(project, "similar", title, "-k", 2)
    assert f"Like {title}" in said.out
    assert "the cosine of the version's vectors" in " ".join(said.out.split())
    ease = movierec(project, "similar", "m1", "--version", "v1.3.0")
    assert "raters in common" in " ".join(ease.out.split())


@pytest.mark.parametrize(
    ("words", "cause"),
    [("polka [/x]", "There is no movie 'polka [/x]'"), ("movie", "Several movies fit 'movie': ")],
)
def test_a_title_that_none_or_several_fit(project, words, cause):
    said = movierec(project, "similar", words)
    assert cause in one_line(said)
    assert said.code == 4
