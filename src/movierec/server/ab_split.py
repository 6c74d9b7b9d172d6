"""The A/B split: a stable share of the users for each version."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from movierec.errors import SettingsError
from movierec.registry.names import CURRENT, is_name

__all__ = ["ABSplit"]

_HASHES = 2**64
_CLOSE = 1e-6


@dataclass(frozen=True)
class ABSplit:
    """Shares of the users, by version; a version may be "current". No shares: current for all.

    A user's position is the first 8 bytes of sha256("salt:user") as a number in [0, 1): the same in
    every process and after every restart. A user changes the version only where the shares do.
    """

    shares: tuple[tuple[str, float], ...] = ()
    salt: str = ""

    @classmethod
    def parse(cls, text: str, salt: str) -> ABSplit:
        """Read shares as "v1.2.0=0.5,current=0.5".

        Raises:
            SettingsError: it is written otherwise, names a version twice, or the shares do not
                add up to 1.

        """
        shares = tuple(_share(part) for part in text.split(",") if part.strip())
        names = [name for name, _ in shares]
        if len(set(names)) < len(names):
            raise _unusable(text, "names a version twice")
        if shares and abs(sum(share for _, share in shares) - 1) > _CLOSE:
            raise _unusable(text, "does not add up to 1")
        return cls(shares, salt)

    @property
    def names(self) -> tuple[str, ...]:
        """The versions that get users."""
        return tuple(name for name, share in self.shares if share) or (CURRENT,)

    def version_for(self, user_id: str) -> str:
        """Return the version that answers a user, or "current"."""
        if len(self.names) == 1:
            return self.names[0]
        position, reached = self.position(user_id), 0.0
        for name, share in self.shares:
            reached += share
            if position < reached:
                return name
        return self.names[-1]  # the shares add up to a little less than 1

    def position(self, user_id: str) -> float:
        """Return a user's position in [0, 1)."""
        digest = hashlib.sha256(f"{self.salt}:{user_id}".encode(errors="replace")).digest()
        return int.from_bytes(digest[:8], "big") / _HASHES


def _share(part: str) -> tuple[str, float]:
    name, _, number = (word.strip() for word in part.partition("="))
    if name != CURRENT and not is_name(name):
        raise _unusable(part, "does not name a version")
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise _unusable(part, "has no share between 0 and 1")
    return name, share


def _unusable(text: str, why: str) -> SettingsError:
    return SettingsError(
        f"The split {text.strip()[:100]!r} {why}.",
        hint="Write it like v1.2.0=0.5,current=0.5 (--split or MOVIEREC_API_TRAFFIC).",
    )
