"""Logs as JSON, a line per request, for whoever collects them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

__all__ = ["ACCESS", "LEVELS", "configure"]

ACCESS = "movierec.server.access"
LEVELS = ("debug", "info", "warning", "error")

# what a record has anyway; the rest was given with `extra`
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, event, and what was given with it."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        facts |= {k: v for k, v in vars(record).items() if k not in _USUAL}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


def configure(level: str = "info", *, access: bool = True, stream: TextIO | None = None) -> None:
    """Send what movierec and uvicorn log to stderr; `access`: a line per request, too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("movierec", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    logging.getLogger(ACCESS).setLevel(logging.NOTSET if access else logging.CRITICAL)
