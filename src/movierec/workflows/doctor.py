"""What is installed and stored on this machine, and what is wrong with it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from movierec.errors import MovierecError
from movierec.registry import Registry
from movierec.registry.names import listed
from movierec.runtime import library_versions, pick_device
from movierec.settings import Settings
from movierec.store import Store, VersionRecord, open_store
from movierec.store.engine import shown_url

__all__ = ["Finding", "Health", "diagnose"]

Health = Literal["ok", "note", "wrong"]
LEAST_FREE_GIB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: fine, worth knowing, or wrong, and then what to do."""

    topic: str
    health: Health
    text: str
    hint: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything; a check that fails becomes a finding and stops no other."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _libraries,
        _device,
        _disk,
        _store,
        _artifacts,
    ]
    return [finding for check in checks for finding in _guarded(check, settings)]


def _guarded(
    check: Callable[[Settings], Iterator[Finding]], settings: Settings
) -> Iterator[Finding]:
    topic = check.__name__.strip("_")
    try:
        yield from check(settings)
    except MovierecError as error:
        yield Finding(topic, "wrong", error.message, error.hint)
    except ImportError as error:
        yield Finding(topic, "wrong", f"{error}", "Run `make install`.")


def _libraries(settings: Settings) -> Iterator[Finding]:  # noqa: ARG001
    versions = library_versions()
    python = versions.pop("python")
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "python",
        "ok" if supported else "wrong",
        f"Python {python} on {platform.system()} {platform.machine()}",
        "" if supported else "Use Python 3.11, 3.12 or 3.13.",
    )
    yield Finding("libraries", "ok", ", ".join(f"{n} {v}" for n, v in versions.items()))


def _device(settings: Settings) -> Iterator[Finding]:
    import torch

    device = pick_device(settings.device)
    threads = settings.threads or torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    text = f"{device} ({name or platform.machine()}), {threads} CPU threads"
    yield Finding("device", "ok", text)


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(p for p in (settings.data_path, *settings.data_path.parents) if p.exists())
    free = shutil.disk_usage(folder).free / 2**30
    low = free < LEAST_FREE_GIB
    yield Finding(
        "disk",
        "wrong" if low else "ok",
        f"{free:.1f} GiB free for data and versions",
        "Free some space: `movierec versions empty-trash`, `movierec versions delete --now`."
        if low
        else "",
    )


def _store(settings: Settings) -> Iterator[Finding]:
    path = settings.database_path
    with open_store(settings) as store:
        shown = str(path) if path else shown_url(settings.database)
        yield Finding("database", "ok", shown)
        yield from _datasets(store)
        yield from _versions(Registry(settings, store))
        yield from _runs(store)


def _datasets(store: Store) -> Iterator[Finding]:
    records = store.datasets.list()
    for item in records:
        size = f"{item.n_users:,} users, {item.n_movies:,} movies, {item.n_ratings:,} ratings"
        yield Finding("data set", "ok", f"{item.name}: {size}, from {item.source}")
    if not records:
        yield Finding("data set", "note", "none yet", "Run `movierec data fetch ml-100k`.")


def _versions(registry: Registry) -> Iterator[Finding]:
    for repair in registry.reconcile():
        yield Finding("version", "note", repair)
    records = registry.summaries()
    for record in records:
        if registry.is_here(record.name):
            yield _version(record, registry.verify(record.name))
    if not records:
        yield Finding("version", "note", "none yet", "Run `movierec train`.")
    yield from _measurements(registry)
    yield from _trash(registry)


def _version(record: VersionRecord, problems: list[str]) -> Finding:
    current = " (current)" if record.is_current else ""
    text = f"{record.name}{current}: " + (" ".join(problems) or "all files are whole")
    hint = f"Restore it or run `movierec versions delete {record.name}`." if problems else ""
    return Finding("version", "wrong" if problems else "ok", text, hint)


def _artifacts(settings: Settings) -> Iterator[Finding]:
    """Look at the place that machines share, which is asked once."""
    if not settings.artifacts_url:
        return
    with open_store(settings) as store:
        registry = Registry(settings, store)
        if registry.location is None:
            return
        there, place = registry.shared.whole_there(), registry.location
        yield Finding("artifacts", "ok", f"{place}: {len(there)} versions")
        for name in registry.shared.waiting():
            hint = f"Push it: `movierec versions push {name}`."
            yield Finding("artifacts", "note", f"{name} is on this machine alone", hint)
        for record in registry.summaries():
            if not registry.is_here(record.name):
                problems = [] if record.name in there else [f"It is neither here nor in {place}."]
                yield _version(record, problems)


def _measurements(registry: Registry) -> Iterator[Finding]:
    for found in registry.measurements.list():
        names, problems = [*found.versions], found.problems()
        text = f"{listed(names)} together: {problems[0] if problems else 'whole'}"
        hint = f"Again: `movierec versions measure {' '.join(names)}`." if problems else ""
        yield Finding("measured", "wrong" if problems else "ok", text, hint)


def _trash(registry: Registry) -> Iterator[Finding]:
    kept = registry.trash()
    if not kept:
        return
    names = ", ".join(record.name for record in kept)
    size = f"{registry.trash_bytes() / 2**20:.1f} MiB"
    lost = [record.name for record in kept if record.is_missing]
    if lost:
        text = f"the files of {', '.join(lost)} are missing"
        hint = "Put them back into models/.trash, or run `movierec versions empty-trash`."
        yield Finding("trash", "wrong", text, hint)
    yield Finding("trash", "ok", f"{names}: {size}", "`movierec versions empty-trash` frees them.")


def _runs(store: Store) -> Iterator[Finding]:
    for run in store.runs.mark_interrupted():
        yield Finding(
            "run", "note", f"Run {run.id} was interrupted.",
            f"Go on with it: `movierec runs resume {run.id}`.",
        )  # fmt: skip
    for run in store.runs.active():
        yield Finding("run", "ok", f"Run {run.id} is {run.state}: {run.stage or run.kind}")
