"""One file over HTTP, resumable: what has come so far is kept in `<name>.part`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from movierec.errors import SourceError
from movierec.progress import Progress

__all__ = ["PartialFile", "Progress", "UnavailableError", "download"]

ATTEMPTS = 4  # of which three resume a connection that broke
CHUNK = 64 << 10  # bytes
CONNECT_TIMEOUT = 5.0  # seconds, so that a network without a way out is noticed soon
CAUSES = (
    (requests.exceptions.SSLError, "its certificate is not trusted"),
    (requests.exceptions.ProxyError, "the proxy does not answer"),
    (requests.Timeout, "no answer in time"),
    (requests.ConnectionError, "no connection"),
)
_BROKEN = (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)

_log = logging.getLogger(__name__)


class UnavailableError(SourceError):
    """A server that does not give the file: another source may."""


class _BrokenTransferError(Exception):
    """The transfer ended early: the next attempt resumes it."""


@dataclass(frozen=True)
class PartialFile:
    """Bytes that came so far, beside a note of which file on the server they belong to."""

    path: Path

    @classmethod
    def of(cls, target: Path) -> PartialFile:
        """Return the partial file of a target, whether it exists or not."""
        return cls(target.with_name(target.name + ".part"))

    @property
    def note(self) -> Path:
        """Where url and validator are kept."""
        return self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self, url: str) -> str:
        """Return the ETag or date under which the server gave these bytes; "" for none."""
        try:
            note = json.loads(self.note.read_text())
            return str(note["validator"]) if note["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def begin(self, url: str, validator: str) -> None:
        """Start anew, for the file that the server calls by this validator."""
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps({"url": url, "validator": validator}))

    def discard(self) -> None:
        """Delete bytes and note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str, part: PartialFile, *, timeout: float, limit: int, on_progress: Progress
) -> None:
    """Bring the partial file to its full size; `limit` is the most bytes accepted.

    A broken connection is taken up again where it broke, by an HTTP range under the same
    ETag. `timeout` is in seconds, for each wait on the server.

    Raises:
        UnavailableError: no connection, an HTTP error, a web page instead of the file.
        SourceError: the file is larger than `limit`.

    """
    for _ in range(ATTEMPTS):
        try:
            return _transfer(url, part, timeout, limit, on_progress)
        except _BrokenTransferError as error:
            _log.info("transfer broken", extra={"bytes": part.size, "cause": str(error)})
        except requests.RequestException as error:
            raise UnavailableError(f"{_host(url)} cannot be reached: {_cause(error)}.") from error
    raise UnavailableError(
        f"The connection to {_host(url)} broke {ATTEMPTS} times.",
        hint="Try again; what has come so far is kept.",
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _cause(error: requests.RequestException) -> str:
    named = (text for kind, text in CAUSES if isinstance(error, kind))
    return next(named, f"{type(error).__name__}")


def _transfer(
    url: str, part: PartialFile, timeout: float, limit: int, on_progress: Progress
) -> None:
    with _ask(url, part, timeout) as answer:
        _require_file(answer, url, part)
        if not _continues(answer, part):
            part.begin(url, _validator_of(answer))
        total = part.size + int(answer.headers.get("Content-Length", 0))
        if total > limit:
            raise _too_large(url, limit)
        _append(answer, part, total, limit, on_progress)
    if part.size < total:
        raise _BrokenTransferError(f"{part.size} of {total} bytes")


def _ask(url: str, part: PartialFile, timeout: float) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    validator = part.validator(url)
    if part.size and validator:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": validator}
    waits = (min(CONNECT_TIMEOUT, timeout), timeout)
    return requests.get(url, headers=headers, stream=True, timeout=waits)


def _require_file(answer: requests.Response, url: str, part: PartialFile) -> None:
    if answer.status_code == requests.codes.requested_range_not_satisfiable:
        part.discard()
        raise _BrokenTransferError("what has come so far does not fit the server's file")
    if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
        raise UnavailableError(f"{_host(url)} answered {answer.status_code} {answer.reason}.")
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("text/"):
        raise UnavailableError(
            f"{_host(url)} answered with {kind.partition(';')[0]} instead of the archive.",
            hint="A network's log-in page does that: log in, then try again.",
        )


def _continues(answer: requests.Response, part: PartialFile) -> bool:
    """Return whether the answer goes on exactly where the partial file ends."""
    if answer.status_code != requests.codes.partial_content:
        return False
    return answer.headers.get("Content-Range", "").startswith(f"bytes {part.size}-")


def _validator_of(answer: requests.Response) -> str:
    """Return what If-Range may name: a strong ETag, else the date of the last change."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _append(
    answer: requests.Response, part: PartialFile, total: int, limit: int, on_progress: Progress
) -> None:
    done = part.size
    try:
        with part.path.open("ab") as stream:
            for chunk in answer.iter_content(CHUNK):
                done += stream.write(chunk)
                if done > limit:
                    raise _too_large(answer.url, limit)
                on_progress("downloading from GroupLens", done / total if total else 0.0)
    except _BROKEN as error:
        raise _BrokenTransferError(type(error).__name__) from error


def _too_large(url: str, limit: int) -> SourceError:
    return SourceError(
        f"{_host(url)} offers more than {limit:,} bytes: that is not MovieLens 100K.",
        hint="Check MOVIEREC_ML_100K_URL.",
    )
