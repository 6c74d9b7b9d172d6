"""A real `movierec serve` that is asked what nobody should ask: it says no, and lives.

`FUZZ_EXAMPLES=1200 python -m pytest tests/integration/test_server_fuzz.py` asks more than ten
thousand questions made from the OpenAPI schema.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from movierec.data.catalogue import MAX_ID
from movierec.server import responses
from tests.integration.server.test_serve import Server, serving
from tests.support.trained import copied

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))  # for each endpoint and kind of data
PATIENCE = 60.0
MEGABYTE = 2**20
# what a schema cannot say: printable ids, the scale of the data, which year comes first
UNSAID = "positive_data_acceptance"
KNOWN = ["u1", "u2", "u60", "m1", "m2", "m40", "Drama"]


@pytest.fixture(scope="module")
def server(trained_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(copied(trained_project, tmp_path_factory.mktemp("fuzz"))) as started:
        started.url()
        yield started


@pytest.fixture(autouse=True)
def _is_well_afterwards(server: Server) -> Iterator[None]:
    yield
    assert httpx.get(f"{server.url()}/health", timeout=PATIENCE).json()["status"] == "ok"
    assert [line for line in server.lines() if line["level"] in ("error", "critical")] == []


def within_reach(schema: Any) -> Any:
    """Return a schema that names ids and stars which exist, and lists that fit into an address."""
    if isinstance(schema, list):
        return [within_reach(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: within_reach(value) for key, value in schema.items() if key != "examples"}
    if isinstance(found.get("maxItems"), int):
        found["maxItems"] = min(20, found["maxItems"])
    if found.get("type") == "string" and found.get("maxLength") == MAX_ID:
        return {"anyOf": [{"enum": KNOWN}, found]}
    if found.get("type") == "number" and found.get("maximum") == 1000:
        return {"anyOf": [{"enum": [1, 2, 3, 4, 5]}, found]}
    return found


def test_whatever_the_schema_allows_and_forbids_is_answered(server: Server, tmp_path: Path):
    path = tmp_path / "schema.json"
    schema = httpx.get(f"{server.url()}/openapi.json").json()
    path.write_text(json.dumps(within_reach(schema)), "utf-8")
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", str(path), "--url", server.url(),
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES),
        "--checks", "all", "--exclude-checks", UNSAID, "--continue-on-failure",
        "--generation-database", "none", "--seed", "0", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
    generated = int(re.findall(r"(\d+) generated", done.stdout)[0])
    print(f"{generated:,} cases")  # noqa: T201 -- for whoever asks for more of them
    assert generated > 5 * EXAMPLES


def ask(server: Server, *parts: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; return status and body, 0 where the server hung up without one."""
    host, port = server.url().removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        with suppress(ConnectionError):  # it may answer and hang up before it has read all
            for part in parts:
                connection.sendall(part)
        answer = b""
        with suppress(ConnectionError):
            while more := connection.recv(65_536):
                answer += more
                if is_whole(answer):
                    break
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and length is not None and len(body) >= int(length[1])


def post(body: bytes = b"", *headers: bytes, path: bytes = b"/newcomer") -> bytes:
    told = headers or (b"content-length: %d" % len(body),)
    head = [b"POST %s HTTP/1.1" % path, b"host: a", b"content-type: application/json", *told]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %s HTTP/1.1" % path, b"host: a", *headers]) + b"\r\n\r\n"


def problem_of(body: bytes) -> str:
    return responses.ErrorReply.model_validate_json(body).error.code


def test_ten_megabytes_are_refused(server: Server):
    status, body = ask(server, post(b"", b"content-length: %d" % (10 * MEGABYTE)))
    assert (status, problem_of(body)) == (413, "too_large")
    status, _ = ask(server, post(b" " * 10 * MEGABYTE))
    assert status in (413, 0)  # 0: hung up on while it was still talking


def test_a_body_without_an_end_is_refused_before_it_fills_the_memory(server: Server):
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    host, port = server.url().removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(post(b"", b"transfer-encoding: chunked"))
        with suppress(ConnectionError):
            while sent < 200 * MEGABYTE:
                connection.sendall(chunk)
                sent += len(chunk)
    assert sent < 100 * MEGABYTE


@pytest.mark.parametrize(
    "body",
    [
        b'{"ratings": {"m1": NaN}}',
        b'{"ratings": {"m1": -Infinity}}',
        b'{"ratings": {"m1": 1e400}}',
        b'{"ratings": {"m1": %s}}' % (b"9" * 100_000),
        b'{"ratings": {"m1": 5}, "k": -1}',
        b'{"ratings": {"m1": 5}, "k": %s}' % (b"9" * 4000),
        b'{"ratings": {"m1": 5}, "k": 1e308}',
        b'{"ratings": {"nobody knows": 5}}',
        b'{"ratings": {"\xff\xfe": 5}}',
        b'{"ratings": {"\\ud800": 5}}',
        b'{"a":' * 100_000,
        b"[" * 900_000,
        b"\x00" * 1000,
        b"",
    ],
    ids=range(14),
)
def test_a_body_that_cannot_be_used_is_refused_in_the_one_shape(server: Server, body: bytes):
    status, told = ask(server, post(body))
    assert status in (400, 404, 422)
    assert problem_of(told)


@pytest.mark.parametrize(
    "kind",
    [b"text/plain", b"application/xml", b"multipart/form-data", b"application/json; charset=x"],
)
def test_another_content_type_is_no_crash(server: Server, kind: bytes):
    body = b'{"ratings": {"m1": 5}}'
    told = post(body).replace(b"application/json", kind)
    assert ask(server, told)[0] in (200, 400, 415, 422)


@pytest.mark.parametrize(
    "path",
    [
        b"/../../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"/docs/../../etc/passwd",
        b"//etc/passwd",
        b"/recommend%00",
        b"/recommend?user=%00",
        b"/recommend?user=u1&version=../../v1.0.0",
        b"/recommend?user=u1&version=%2e%2e%2fcurrent",
        b"/recommend?user=u1&k=-1",
        b"/recommend?user=u1&k=" + b"9" * 5000,
        b"/similar?movie=" + b"x" * 30_000,
        b"/" + b"x" * 30_000,
    ],
    ids=range(12),
)
def test_a_path_leads_nowhere_else(server: Server, path: bytes):
    status, told = ask(server, get(path))
    assert status in (404, 422)
    assert b"root:" not in told
    assert problem_of(told)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        get(b"/health", b"x" * 200_000 + b": 1"),
        get(b"/health", b"x-request-id: \xff\xfe"),
        get(b"/recommend?user=%ff%fe"),
        get(b"/recommend/"),
        post(b"", b"content-length: -1"),
        post(b"", b"content-length: ten"),
        post(b"", b"content-length: " + b"9" * 100),
        post(b"0\r\n\r\n", b"content-length: 4", b"transfer-encoding: chunked"),
        post(b"zz\r\n\r\n", b"transfer-encoding: chunked"),
        b"BREW /recommend HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=range(13),
)
def test_what_is_hardly_http_is_no_crash(server: Server, data: bytes):
    assert ask(server, data)[0] < 500


def test_clients_that_leave_in_the_middle_are_forgotten(server: Server):
    host, port = server.url().removeprefix("http://").split(":")
    for data in (b"GET /rec", post(b"{", b"content-length: 100"), get(b"/recommend?user=u1")):
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
                connection.sendall(data)
