"""The Recommend page's view on what people said of the lists, and training with it."""

from __future__ import annotations

from collections.abc import Callable

from movierec.ui.components import cache
from movierec.ui.components.feedback import join, thumbs
from movierec.ui.recommend.choice import SelectedVersions

__all__ = ["feedback"]

Head = Callable[[str, str], None]


def feedback(sides: SelectedVersions, head: Head) -> None:
    """Draw the view: of the versions side by side, or of all where there is one alone."""
    head(
        "What people said of the lists",
        "Thumbs from this page and from the API, by the version that made the list; they can join "
        "the next training.",
    )
    several = [*sides.versions] if len(sides.versions) > 1 else None
    thumbs.online(several, key="recommend")
    record = cache.store().datasets.find(sides.data.fingerprint)
    if record is not None:
        join.join(record)
