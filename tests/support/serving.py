"""The API in this process, asked without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import httpx
from pydantic import SecretStr

from movierec.inference import LoadedVersion, load_version
from movierec.server.run import make_app
from movierec.server.service import Service
from movierec.settings import Settings

__all__ = ["Api", "fresh"]

PATIENCE = 60.0


class Api:
    """A started API of a project; a context manager, as the app is started and ended with it.

    It lives in a thread of its own: where a test of a browser went before, the tests' thread has
    an event loop that goes on running.
    """

    def __init__(self, settings: Settings, **changes: Any) -> None:
        # whatever a developer's own .env says
        plain = {"api_keys": SecretStr(""), "api_keys_file": "", "api_rate": 0, "api_traffic": ""}
        self.settings = settings.model_copy(update={**plain, **changes})
        self.app = make_app(self.settings)
        self._life = self.app.router.lifespan_context(self.app)
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Api:
        self.run(self._life.__aenter__())
        transport = httpx.ASGITransport(
            app=self.app, raise_app_exceptions=False, client=("127.0.0.1", 1)
        )
        self.client = httpx.AsyncClient(transport=transport, base_url="http://api")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self.client.aclose())
        self.run(self._life.__aexit__(None, None, None))
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._thread.submit(self._runner.run, work).result()

    def get(self, path: str, **asked: Any) -> httpx.Response:
        return self.ask("GET", path, params=asked)

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.ask("POST", path, json=content)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.client.request(method, path, **more))
        return answer

    def until(self, found: Callable[[], Any]) -> Any:
        """Return what is found as soon as it is something."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if result := found():
                return result
            self.run(asyncio.sleep(0.02))
        raise AssertionError("It did not happen.")

    def metric(self, name: str, **labels: str) -> float | None:
        """Return what /metrics says of one number."""
        wanted = "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"
        for line in self.get("/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            bare, _, rest = head.partition("{")
            inside = "{" + ",".join(sorted(rest.rstrip("}").split(","))) + "}"
            if bare == name and inside == wanted:
                return float(value)
        return None


def fresh(settings: Settings, name: str = "current") -> LoadedVersion:
    """Return a version as the library loads it."""
    return load_version(name, settings)
