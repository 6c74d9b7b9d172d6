"""movierec: train, compare and understand GraphSAGE movie recommenders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from movierec.api import load_dataset, load_version, train

__all__ = ["load_dataset", "load_version", "train"]


def __getattr__(name: str) -> Any:
    # loaded when asked for: a page or a command that trains nothing must not wait for torch
    if name in __all__:
        from movierec import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
