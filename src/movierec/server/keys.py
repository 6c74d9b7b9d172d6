"""Who may ask: API keys, compared in constant time and told apart in logs by a hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from movierec.errors import SettingsError
from movierec.settings import Settings

__all__ = ["KeyRing", "read_keys"]

SHORTEST = 16  # characters; shorter ones can be guessed
SHOWN = 8  # hexadecimal digits of a key's hash in logs


class KeyRing:
    """The keys that are let in; holds their hashes alone."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def find(self, given: bytes | None) -> str | None:
        """Return the short hash of a key that is let in, None for any other.

        Every key is compared with, whether an earlier one fitted or not.
        """
        if given is None:
            return None
        hashed = _hash(given)
        fits = [hmac.compare_digest(hashed, known) for known in self._hashes]
        return hashed.hex()[:SHOWN] if any(fits) else None


def read_keys(settings: Settings) -> KeyRing:
    """Return the keys of the settings and of their file.

    Raises:
        SettingsError: the file cannot be read, or a key is too short or not plain ASCII; the
            message does not show it.

    """
    keys = settings.api_keys.get_secret_value().split(",")
    keys += _lines(settings)
    stripped = [key.strip() for key in keys if key.strip()]
    for key in stripped:
        _check(key)
    return KeyRing(stripped)


def _lines(settings: Settings) -> list[str]:
    if not settings.api_keys_file:
        return []
    path = settings.home / settings.api_keys_file
    return [line for line in _read(path).splitlines() if not line.lstrip().startswith("#")]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The API's keys cannot be read from {path}: {getattr(error, 'strerror', error)}.",
            hint="Correct MOVIEREC_API_KEYS_FILE: a text file with one key per line.",
        ) from error


def _check(key: str) -> None:
    if len(key) < SHORTEST or not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(
            f"One of the API's keys has fewer than {SHORTEST} characters, or others than letters, "
            "digits and signs.",
            hint="Make one with `openssl rand -hex 24` and set it in MOVIEREC_API_KEYS.",
        )


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
