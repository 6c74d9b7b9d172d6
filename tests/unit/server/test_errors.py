from __future__ import annotations

import asyncio
import json
import logging
import re

import pytest

from movierec.data.catalogue import usable_id
from movierec.errors import SettingsError
from movierec.server import responses
from movierec.server.keys import MOST_CLIENTS, Buckets, KeyRing, read_keys
from movierec.server.middleware import JsonLines, configure
from movierec.server.requests import ID_PATTERN
from movierec.server.run import Serving, make_app, serve
from movierec.settings import Settings
from tests.support.serving import Api
from tests.support.trained import copied

HUGE = "9" * 5000


@pytest.fixture(scope="module")
def api(trained_project, tmp_path_factory):
    with Api(copied(trained_project, tmp_path_factory.mktemp("api"))) as started:
        yield started


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    return responses.ErrorReply.model_validate_json(answer.content).error


@pytest.mark.parametrize(
    ("path", "status", "where"),
    [
        ("/recommend", 422, "query.user"),
        ("/recommend?user=", 422, "query.user"),
        (f"/recommend?user={'x' * 256}", 422, "query.user"),
        ("/recommend?user=u1%00", 422, "query.user"),
        ("/recommend?user=u1&user=u2", 422, "query.user"),
        ("/recommend?user=u1&k=-1", 422, "query.k"),
        ("/recommend?user=u1&k=0", 422, "query.k"),
        ("/recommend?user=u1&k=1001", 422, "query.k"),
        ("/recommend?user=u1&k=ten", 422, "query.k"),
        (f"/recommend?user=u1&k={HUGE}", 422, "query.k"),
        ("/recommend?user=u1&diversity=NaN", 422, "query.diversity"),
        ("/recommend?user=u1&diversity=inf", 422, "query.diversity"),
        ("/recommend?user=u1&diversity=1.1", 422, "query.diversity"),
        ("/recommend?user=u1&by=luck", 422, "query.by"),
        ("/recommend?user=u1&year_from=1990&year_to=1980", 422, None),
        ("/recommend?user=u1&min_ratings=-1", 422, "query.min_ratings"),
        ("/recommend?user=u1&by=rating&version=v1.3.0", 422, None),
        ("/recommend?user=u1&genres=Opera", 404, None),
        ("/recommend?user=u1&exclude=mX", 404, None),
        ("/recommend?user=u1&version=v9.0.0", 404, None),
        ("/recommend?user=u1&version=../v1.0.0", 422, "query.version"),
        ("/recommend?user=u1&colour=red", 422, "query.colour"),
        ("/recommend?" + "exclude=m1&" * 3001, 422, "query"),
        ("/similar?movie=mX", 404, None),
        ("/similar?movie=m1&k=0", 422, "query.k"),
        ("/explain?user=u1&movie=mX", 404, None),
        ("/explain?user=u1&movie=m1&most=0", 422, "query.most"),
        ("/version?version=v9.0.0", 404, None),
        ("/nothing", 404, None),
        ("/recommend/../../etc/passwd", 404, None),
    ],
)
def test_a_question_that_cannot_be_answered(api, path, status, where):
    error = error_of(api.ask("GET", path), status)
    assert error.where == where
    assert error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("path", "body", "status", "where"),
    [
        ("/newcomer", '{"ratings": {"m1": NaN}}', 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": Infinity}}', 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": 1e999}}', 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": ' + "9" * 400 + "}}", 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": ' + HUGE + "}}", 400, None),
        ("/newcomer", '{"ratings": {"m1": "5"}}', 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": true}}', 422, "body.ratings.m1"),
        ("/newcomer", '{"ratings": {"m1": 5.5}}', 422, None),
        ("/newcomer", '{"ratings": {"mX": 5}}', 404, None),
        ("/newcomer", '{"ratings": {"\\ud800": 5}}', 422, None),
        ("/newcomer", '{"ratings": []}', 422, "body.ratings"),
        ("/newcomer", '{"ratings": {}, "k": true}', 422, "body.k"),
        ("/newcomer", '{"ratings": {}, "k": 1e30}', 422, "body.k"),
        ("/newcomer", '{"ratings": {}, "features": {"age": -1}}', 422, "body.features.age"),
        ("/newcomer", '{"ratings": {}, "features": {"shoe": 1}}', 422, "body.features.shoe"),
        ("/newcomer", "[" * 100_000, 400, None),
        ("/newcomer", '{"ratings": ', 400, "body"),
        ("/newcomer", b"\xff\xfe{}", 400, None),
        ("/newcomer", "", 422, "body"),
        ("/newcomer", "null", 422, "body"),
        ("/score", '{"user": 196, "movies": ["m1"]}', 422, "body.user"),
        ("/score", '{"user": "u1", "movies": []}', 422, "body.movies"),
        ("/score", '{"user": "u1", "movies": ["mX"]}', 404, None),
        ("/feedback", '{"user": "u1", "movie": "m1", "liked": 1}', 422, "body.liked"),
        ("/feedback", '{"user": "u\\u0000", "movie": "m1", "liked": true}', 422, "body.user"),
        ("/feedback", '{"user": "\\udfff", "movie": "m1", "liked": true}', 422, "body.user"),
        ("/feedback", '{"user": "u1", "movie": "m1", "liked": true, "rank": 0}', 422, "body.rank"),
        ("/recommend", "{}", 405, None),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used(api, path, body, status, where):
    content = body if isinstance(body, bytes) else body.encode()
    answer = api.ask("POST", path, content=content, headers={"content-type": "application/json"})
    error = error_of(answer, status)
    assert where is None or error.where == where


def test_the_schema_says_which_ids_can_be():
    pattern = re.compile(ID_PATTERN)
    letters = [chr(code) for code in range(0x3000)]
    differs = [c for c in letters if bool(pattern.search(f"a{c}b")) != usable_id(f"a{c}b")]
    assert differs == []


def test_all_that_is_wrong_is_named(api):
    error = error_of(api.ask("GET", "/recommend?k=0&diversity=7"), 422)
    assert error.message.startswith("query.k: ")
    assert "query.user" in error.hint
    assert "query.diversity" in error.hint


@pytest.fixture(scope="module")
def narrow(trained_project, tmp_path_factory):
    settings = copied(trained_project, tmp_path_factory.mktemp("narrow"))
    with Api(settings, api_body_limit=2000) as started:
        yield started


def test_a_body_over_the_limit_is_refused_with_its_length_and_without(narrow):
    async def parts():
        for _ in range(1000):
            yield b"x" * 100

    for content in (b"x" * 2001, parts()):
        error = error_of(narrow.ask("POST", "/newcomer", content=content), 413)
        assert "2,000 bytes" in error.hint
    fits = json.dumps({"ratings": {}, "exclude": ["m1"]}).ljust(2000).encode()
    answer = narrow.ask("POST", "/newcomer", content=fits)
    assert answer.status_code == 422  # without a content type it is no JSON
    headers = {"content-type": "application/json"}
    assert narrow.ask("POST", "/newcomer", content=fits, headers=headers).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(trained):
    async def slow():
        yield b"{"
        await asyncio.sleep(60)

    with Api(trained, api_timeout=0.2) as api:
        error_of(api.ask("POST", "/newcomer", content=slow()), 408)
        assert api.get("/recommend", user="u1").status_code == 200


def test_a_failure_of_the_server_says_no_more_than_where_to_look(trained, caplog):
    with Api(trained) as api:
        api.service.cache.get = None  # what nobody foresaw
        answer = api.get("/recommend", user="u1")
        error = error_of(answer, 500)
        assert answer.headers["x-request-id"] in error.hint
        assert "NoneType" not in answer.text


KEY, OTHER = "a-key-of-somebody-1", "another-key-of-her-2"


@pytest.fixture
def locked(trained):
    with Api(trained, api_keys=_secret(f"{KEY}, {OTHER}")) as started:
        yield started


def _secret(keys):
    return Settings(api_keys=keys).api_keys


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": ""},
    ],
)
def test_nobody_is_answered_without_a_key(locked, headers):
    for path in ("/recommend?user=u1", "/metrics", "/version", "/nothing"):
        answer = locked.ask("GET", path, headers=headers)
        assert error_of(answer, 401).code == "no_key"
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/health", "/docs", "/openapi.json"):
        assert locked.ask("GET", path, headers=headers).status_code == 200


def test_every_key_opens_and_the_schema_says_how(locked):
    for headers in ({"Authorization": f"bearer {KEY}"}, {"X-API-Key": OTHER}):
        assert locked.ask("GET", "/recommend?user=u1", headers=headers).status_code == 200
    schema = locked.get("/openapi.json").json()
    assert schema["paths"]["/recommend"]["get"]["security"] == [{"bearer": []}, {"key": []}]
    assert "security" not in schema["paths"]["/health"]["get"]


def test_keys_of_a_file(tmp_path):
    (tmp_path / "keys").write_text(f"# whose\n\n{KEY}\n  {OTHER}  \n")
    ring = read_keys(Settings(home=tmp_path, api_keys_file="keys"))
    assert ring.find(OTHER.encode()) != ring.find(KEY.encode())
    assert None not in (ring.find(OTHER.encode()), ring.find(KEY.encode()))
    assert ring.find(b"# whose") is None
    assert ring.find(None) is None
    assert not KeyRing()


def test_a_key_that_can_be_guessed_is_refused_and_not_shown(tmp_path):
    for keys in ("secret", "a key with a space", "schlüssel-mit-umlaut"):
        with pytest.raises(SettingsError, match="16 characters") as refused:
            make_app(Settings(home=tmp_path, api_keys=keys))
        assert keys not in str(refused.value)
    with pytest.raises(SettingsError, match="MOVIEREC_API_KEYS_FILE"):
        make_app(Settings(home=tmp_path, api_keys_file="nowhere"))


def test_settings_never_show_a_key():
    assert KEY not in repr(Settings(api_keys=KEY))
    assert KEY not in Settings(api_keys=KEY).model_dump_json()


def test_without_keys_other_machines_are_not_listened_to(tmp_path):
    for host in ("0.0.0.0", "::", "example.org"):
        with pytest.raises(SettingsError, match=r"MOVIEREC_API_KEYS"):
            serve(Settings(home=tmp_path, api_host=host), Serving())


def test_a_client_that_asks_too_often_waits_and_others_do_not(trained):
    with Api(trained, api_rate=3, api_keys=_secret(f"{KEY},{OTHER}")) as api:
        mine, hers = {"X-API-Key": KEY}, {"X-API-Key": OTHER}
        codes = [api.ask("GET", "/version", headers=mine).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        answer = api.ask("GET", "/version", headers=mine)
        error_of(answer, 429)
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert api.ask("GET", "/version", headers=hers).status_code == 200
        guesses = [api.get("/version").status_code for _ in range(4)]
        assert guesses == [401, 401, 401, 429]  # keys cannot be tried one after the other


def test_a_bucket_fills_again():
    now = 0.0
    buckets = Buckets(60, clock=lambda: now)
    assert [buckets.wait("a") for _ in range(61)] == [0] * 60 + [1]
    now = 0.9
    assert buckets.wait("a") == 1
    now = 1.0
    assert [buckets.wait("a"), buckets.wait("a")] == [0, 1]
    now = 10_000.0
    assert [buckets.wait("a") for _ in range(61)] == [0] * 60 + [1]
    assert Buckets(0).wait("a") == 0


def test_buckets_of_many_clients_take_no_more_room():
    buckets = Buckets(1, clock=lambda: 0.0)
    for number in range(MOST_CLIENTS + 5):
        assert buckets.wait(str(number)) == 0
    assert len(buckets._left) == MOST_CLIENTS
    assert buckets.wait(str(MOST_CLIENTS)) == 60


def test_a_log_s_line_says_what_happened_without_keys_or_users(locked):
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(JsonLines().format(record))

    logger = logging.getLogger("movierec.server.access")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler := Kept())
    try:
        locked.ask("GET", "/recommend?user=u1", headers={"X-API-Key": KEY, "X-Request-ID": "abc"})
        locked.ask("GET", "/recommend/u1?user=u1")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    answered, refused = map(json.loads, lines)
    assert answered["path"] == "/recommend"
    assert (answered["status"], answered["version"], answered["reason"]) == (200, "v1.0.0", "known")
    assert (answered["request"], answered["method"]) == ("abc", "GET")
    assert answered["ms"] >= 0
    assert answered["key"] == KeyRing([KEY]).find(KEY.encode())
    assert (refused["status"], refused["path"], refused["key"]) == (401, "other", None)
    assert KEY not in "".join(lines)
    assert "u1" not in "".join(lines)


def test_the_access_log_can_be_switched_off():
    logger = logging.getLogger("movierec.server.access")
    roots = [logging.getLogger(name) for name in ("movierec", "uvicorn")]
    kept = [(each.handlers[:], each.level, each.propagate) for each in roots]
    try:
        configure("info", access=False)
        assert not logger.isEnabledFor(logging.INFO)
        configure("info")
        assert logger.isEnabledFor(logging.INFO)
        configure("warning")
        assert not logger.isEnabledFor(logging.INFO)
    finally:
        logger.setLevel(logging.NOTSET)
        for each, (handlers, level, propagate) in zip(roots, kept, strict=True):
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
