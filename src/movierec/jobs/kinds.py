"""What all kinds of runs have in common.

A kind is a class in a file of its own beside this one, registered in `execute.KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from movierec.errors import StoreError
from movierec.processes import own_mark
from movierec.progress import Progress
from movierec.settings import Settings
from movierec.store import RunRecord, Store
from movierec.store.records import RunKind

if TYPE_CHECKING:
    from movierec.cluster.engine import RayEngine
    from movierec.training.callbacks import Hook
    from movierec.workflows.requests import EngineOptions

__all__ = ["Kind", "Work", "engine_of", "only_host"]

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, eq=False)
class Work:
    """A run under way.

    `prepared` is what the kind's `prepare` has loaded, where the run was queued by this process.
    """

    settings: Settings
    store: Store
    run: RunRecord
    tell: Progress
    hooks: Sequence[Hook] = ()
    resume: bool = False
    prepared: Any = None


class Kind(ABC, Generic[RequestT]):
    """One kind of run. `title` and `instead` are for messages: "Run 3 is …", "Use …"."""

    name: ClassVar[RunKind]
    title: ClassVar[str]
    instead: ClassVar[str]

    @abstractmethod
    def add(
        self, settings: Settings, store: Store, request: RequestT, *,
        priority: int = 0, parent_id: int | None = None,
    ) -> RunRecord:  # fmt: skip
        """Queue a run, once the database allows it."""

    def prepare(self, settings: Settings, request: RequestT) -> tuple[RequestT, Any]:  # noqa: ARG002
        """Make certain that a run can start here; return its request, and what was loaded."""
        return request, None

    @abstractmethod
    def execute(self, work: Work) -> str | None:
        """Do the work; return the name of the version it made, if it makes one."""

    def clone_refusal(self, run: RunRecord) -> StoreError | None:  # noqa: ARG002
        """Return why a run of this kind is not cloned; None where it is."""
        return None


def engine_of(options: EngineOptions, settings: Settings) -> RayEngine | None:
    """Return the engine that a request asks for; None is this process.

    Raises:
        SettingsError: Ray is asked for and not installed.

    """
    if not options.is_ray:
        return None
    # here, not above: commands that only list runs load neither pandas nor Ray
    from movierec.cluster.connection import require_ray
    from movierec.cluster.engine import RayEngine

    require_ray()
    return RayEngine(options, settings)


def only_host(settings: Settings) -> str:
    """Return the host that alone can work on a file of this one; empty where it is the only one.

    A database that is a file is of one machine, which may be called otherwise tomorrow.
    """
    return own_mark().host if settings.database_path is None else ""
