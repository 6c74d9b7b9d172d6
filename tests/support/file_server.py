"""A real HTTP server on this machine that offers one file and can misbehave in chosen ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 16_384


@dataclass
class FileServer:
    """What is offered, how, and what was asked for."""

    data: bytes
    status: int = 200
    content_type: str = "application/zip"
    etag: str = '"one"'
    length: int | None = None  # another Content-Length than the true one
    drop_after: int | None = None  # bytes after which connections are closed
    drops: int = 10**6  # how many connections are closed so
    pause: float = 0.0  # seconds between two chunks
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""

    def begin(self, headers: dict[str, str]) -> int:
        """Note a request; return the first byte to send."""
        wanted = headers.get("Range")
        self.ranges.append(wanted)
        if wanted is None or headers.get("If-Range") != self.etag:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def parts(self, start: int) -> Iterator[bytes]:
        end = len(self.data)
        if self.drop_after is not None and self.drops > 0:
            self.drops -= 1
            end = min(end, start + self.drop_after)
        for place in range(start, end, CHUNK):
            yield self.data[place : min(place + CHUNK, end)]
            time.sleep(self.pause)


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = server.begin(dict(self.headers))
            resumed = start > 0
            self.send_response(206 if resumed else server.status)
            self.send_header("Content-Type", server.content_type)
            if server.etag:
                self.send_header("ETag", server.etag)
            if resumed:
                last = len(server.data) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
            length = len(server.data) if server.length is None else server.length
            self.send_header("Content-Length", str(length - start))
            self.end_headers()
            try:
                for part in server.parts(start):
                    self.wfile.write(part)
            except OSError:
                pass  # the client was killed, as planned
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """Serve until the block ends, on a free port of this machine."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{httpd.server_port}/ml-100k.zip"
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
