"""Annotations of a version: tags, notes and reasons, checked before they are kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from movierec.errors import SettingsError

__all__ = [
    "MAX_NOTES",
    "MAX_REASON",
    "MAX_TAG",
    "MAX_TAGS",
    "changed_tags",
    "checked_notes",
    "checked_reason",
    "checked_tag",
]

MAX_TAG, MAX_TAGS = 40, 20  # characters, tags
MAX_NOTES, MAX_REASON = 10_000, 500  # characters


def checked_tag(text: str) -> str:
    """Return a tag without spaces around it.

    Raises:
        SettingsError: it is empty, too long, or has control characters.

    """
    tag = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(tag) <= MAX_TAG:
        raise SettingsError(
            f"A tag has 1 to {MAX_TAG} characters; {tag[:MAX_TAG]!r} has {len(tag)}.",
            hint="Put more into the notes.",
        )
    if not tag.isprintable():
        raise SettingsError(
            f"The tag {tag!r} has control characters or line breaks.", hint="Leave them out."
        )
    return tag


def changed_tags(
    tags: Sequence[str], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the tags without some and with others; upper and lower case are the same.

    A tag that is there keeps its place and its spelling.

    Raises:
        SettingsError: a tag to add cannot be used, or there would be too many.

    """
    gone = {_key(text) for text in remove}
    kept = {_key(tag): tag for tag in tags if _key(tag) not in gone}
    for tag in map(checked_tag, add):
        kept.setdefault(_key(tag), tag)
    if len(kept) > MAX_TAGS:
        raise SettingsError(
            f"A version has at most {MAX_TAGS} tags, not {len(kept)}.", hint="Remove some first."
        )
    return tuple(kept.values())


def checked_reason(text: str) -> str:
    """Return why something was done, on one line.

    Raises:
        SettingsError: it is empty, too long, or has control characters.

    """
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise SettingsError(
            f"A reason has 1 to {MAX_REASON} characters and no control characters.",
            hint="Say in a sentence why it should be so.",
        )
    return reason


def checked_notes(text: str) -> str:
    """Return notes with plain line ends and no empty end.

    Raises:
        SettingsError: they are too long or have control characters other than tabs.

    """
    notes = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if len(notes) > MAX_NOTES:
        raise SettingsError(
            f"Notes have at most {MAX_NOTES:,} characters; these have {len(notes):,}.",
            hint="Keep the rest in a file and name it here.",
        )
    bad = next(
        (c for c in notes if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), ""
    )
    if bad:
        raise SettingsError(
            f"The notes have the control character {bad!r} at {notes.index(bad) + 1}.",
            hint="Leave it out.",
        )
    return notes


def _key(tag: str) -> str:
    return unicodedata.normalize("NFC", tag).strip().casefold()
