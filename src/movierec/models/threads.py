"""How many threads small matrix products take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[None]:
    """Keep BLAS to one thread: a user's matrices are small, and more threads wait for each other.

    On a busy machine that costs many times the work itself; this here takes 10 µs.
    """
    limits: AbstractContextManager[None] = _threads().limit(limits=1, user_api="blas")
    return limits
