"""An explanation in one or two sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from movierec.inference.results import Cause, Explanation

__all__ = ["sentence"]

MOST_NAMED = 3


def sentence(found: Explanation) -> Explanation:
    """Return the explanation with its sentence."""
    parts = [_causes(found), _genre(found), _popularity(found)]
    return replace(found, sentence=" ".join(part for part in parts if part))


def _causes(found: Explanation) -> str:
    if found.basis == "none":
        if found.reason == "fallback" or not found.rank:
            return "Nothing is known of them, so popularity alone speaks."
        return "Their own ratings do not move this version's order."
    if not found.causes:
        return "No rating of theirs speaks for it."
    named = _listed(found.causes[:MOST_NAMED])
    if found.basis == "alike":
        return f"Much like what they liked: {named}."
    return f"Because of {named}."


def _genre(found: Explanation) -> str:
    if not found.shared_genres or found.basis == "none":
        return ""
    genre, share = found.shared_genres[0]
    return f"{share:.0%} of what they liked is {genre} too." if share >= 0.1 else ""


def _popularity(found: Explanation) -> str:
    if found.popularity_share is None or found.basis == "none":
        return ""
    if found.rank_without is None:
        return ""
    return f"Without any rating it would stand at {found.rank_without:,} instead of {found.rank:,}."


def _listed(causes: Sequence[Cause]) -> str:
    words = [f"{cause.stars:g} ★ for {_titled(cause)}" for cause in causes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _titled(cause: Cause) -> str:
    return cause.title if cause.year is None else f"{cause.title} ({cause.year})"
