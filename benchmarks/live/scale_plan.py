"""What 100 million users and 10 billion ratings would take, reckoned from what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from live.page import table
from live.scale_fit import predicted

__all__ = ["plan"]

USERS, RATINGS, MOVIES = 100_000_000, 10_000_000_000, 1_000_000
WIDTH, LAYERS, STEPS = 64, 2, 5
MESSAGES = 2  # that a movie hears of its raters: their mean, and what they liked
PASSES = 64
TRAIN = 0.72
WORKERS = (16, 64, 256)
MEMORY_GIB, USABLE = 256, 0.8
CORES, MEASURED_CORES, EFFICIENCY = 16, 2, 0.6
NETWORK_GB = 25 / 8  # GB/s of one worker
SAMPLED_USERS = 20_000
FLOAT = 4
GIB = 1024
ASSUMPTIONS = (
    ("data", f"{USERS:,} users, {MOVIES:,} movies, {RATINGS:,} ratings, 72 % to learn from"),
    ("model", f"hidden_dim {WIDTH}, {LAYERS} layers, float32, {STEPS} steps per pass"),
    ("course", f"{PASSES} passes, as many as the preset takes at most on MovieLens 100K"),
    ("worker", f"{CORES} cores, {MEMORY_GIB} GiB of which {100 * USABLE:.0f} % are used"),
    (
        "speed",
        f"{CORES} cores do {CORES / MEASURED_CORES * EFFICIENCY:.1f} times the work of the "
        f"{MEASURED_CORES} measured: {100 * EFFICIENCY:.0f} % of {CORES // MEASURED_CORES}, "
        "for they share their memory's bandwidth",
    ),
    ("network", f"25 Gbit/s each way per worker, {NETWORK_GB:.1f} GB/s; a ring all-reduce"),
)  # fmt: skip


@dataclass(frozen=True)
class Share:
    """One of several workers: what it holds, computes and sends."""

    workers: int
    memory_gib: float
    computing: float
    network_gb: float

    @property
    def sending(self) -> float:
        """Seconds of a step on the network, none of it hidden behind computing."""
        return self.network_gb / NETWORK_GB

    @property
    def hours(self) -> float:
        """Hours of all passes."""
        return PASSES * STEPS * (self.computing + self.sending) / 3600


def plan(fit: Mapping[str, Any], disk: Mapping[str, Any]) -> list[str]:
    """Return assumptions, arithmetic and a table of how many workers take how long."""
    shares = [_share(fit, workers) for workers in WORKERS]
    head = [
        "workers", "ratings each", "GiB each", "computing s per step", "GB sent per step",
        "network s per step", "hours",
    ]  # fmt: skip
    rows = [
        [
            str(one.workers), f"{RATINGS / one.workers / 1e6:,.0f} million",
            _fits(one.memory_gib), f"{one.computing:,.1f}", f"{one.network_gb:.2f}",
            f"{one.sending:.2f}", f"{one.hours:,.1f}",
        ]
        for one in shares
    ]  # fmt: skip
    assumed = [f"- {what}: {how}." for what, how in ASSUMPTIONS]
    return [*assumed, "", *_arithmetic(shares[1], disk), "", *table(head, rows)]


def _share(fit: Mapping[str, Any], workers: int) -> Share:
    point = _point(workers)
    whole = predicted(fit["seconds"], point) / STEPS
    return Share(
        workers=workers,
        memory_gib=predicted(fit["memory_mb"], point) / GIB,
        computing=whole / (CORES / MEASURED_CORES * EFFICIENCY),
        network_gb=_reduced(workers) / 1e9,
    )


def _point(workers: int) -> dict[str, float]:
    """Return the training that one worker has: its users and their ratings, and every movie."""
    return {
        "ratings": RATINGS / workers, "train": TRAIN * RATINGS / workers,
        "users": USERS / workers, "movies": MOVIES, "steps_per_pass": STEPS,
        "hidden_dim": WIDTH, "num_layers": LAYERS,
    }  # fmt: skip


def _reduced(workers: int) -> float:
    """Return the bytes that a worker sends in a step: the movies' sums, there and back."""
    return MOVIES * WIDTH * MESSAGES * LAYERS * FLOAT * 2 * 2 * (workers - 1) / workers


def _arithmetic(share: Share, disk: Mapping[str, Any]) -> list[str]:
    return [*_network(share), *_storage(disk), *_ranking()]


def _network(share: Share) -> list[str]:
    n = share.workers
    return [
        f"- Network, {n} workers: {MOVIES:,} movies · {WIDTH} · {MESSAGES} messages · {LAYERS} "
        f"layers · 4 B · 2 (forward and backward) · 2 · {n - 1} / {n} (ring) = "
        f"{share.network_gb:.2f} GB per step and worker, {share.sending:.2f} s. The gradients of "
        "some 120,000 weights are 0.5 MB: a GraphSAGE has no weight of its own for a user or a "
        "movie.",
        f"- Hours, {n} workers: {PASSES} passes · {STEPS} steps · ({share.computing:.1f} s + "
        f"{share.sending:.2f} s) / 3600 = {share.hours:.1f}.",
    ]


def _storage(disk: Mapping[str, Any]) -> list[str]:
    names = [name for name in ("files", "database", "snapshot") if disk[f"{name}_mb"] is not None]
    each = {name: 1e6 * disk[f"{name}_mb"] / disk["ratings"] for name in names}
    stored = "; ".join(
        f"{name} {size:.0f} B · {RATINGS:,} = {size * RATINGS / 1e12:.2f} TB"
        for name, size in each.items()
    )
    states = [f"{count:,} · {WIDTH} · 4 B" for count in (MOVIES, USERS)]
    return [
        f"- Storage, at what the largest import here takes per rating: {stored}.",
        f"- States: movies {states[0]} = {MOVIES * WIDTH * FLOAT / 1e9:.2f} GB per layer, on every "
        f"worker; users {states[1]} = {USERS * WIDTH * FLOAT / 1e9:.1f} GB per layer, divided "
        "among the workers.",
    ]


def _ranking() -> list[str]:
    scores, sampled = USERS * MOVIES, SAMPLED_USERS * MOVIES
    return [
        f"- Ranking everybody: {USERS:,} · {MOVIES:,} = {scores:.0e} scores of {2 * WIDTH} "
        f"operations, {scores * 2 * WIDTH:.1e} in all; {SAMPLED_USERS:,} users take "
        f"{sampled * 2 * WIDTH:.1e}, and the standard error of a mean over them is "
        f"1/√{SAMPLED_USERS:,} = {100 / math.sqrt(SAMPLED_USERS):.1f} % of the deviation between "
        "users.",
    ]


def _fits(gib: float) -> str:
    return f"{gib:,.0f}" if gib <= USABLE * MEMORY_GIB else f"{gib:,.0f}, too much"
