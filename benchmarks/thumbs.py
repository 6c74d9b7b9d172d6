"""Do the intervals of thumbs hold the truth? Simulated users of different tastes and zeal.

    python benchmarks/thumbs.py [--rounds 4000]

Each user has a taste, drawn from a beta distribution around the truth with the given correlation
between two thumbs of one user, and gives a geometric number of thumbs. "one by one" is Wilson's
interval of all thumbs as if each were a user's only one.
"""

from __future__ import annotations

import argparse

import numpy as np

from movierec.comparison.online import newcombe, share_of, wilson

USERS = (5, 10, 30, 100, 300)
# how alike a user's thumbs are, thumbs per user
CROWDS = ((0.01, 1), (0.1, 3), (0.3, 10), (0.6, 20))
TRUTHS = (0.5, 0.7, 0.9)
NORMAL = 1.959964


def main() -> None:
    """Print the share of intervals that hold the truth."""
    parser = argparse.ArgumentParser(description="Measure how often intervals of thumbs hold.")
    parser.add_argument("--rounds", type=int, default=4_000)
    rounds = parser.parse_args().rounds
    print("| users | correlation | thumbs per user | truth | one by one | share | difference |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for users in USERS:
        for alike, thumbs in CROWDS:
            for truth in TRUTHS:
                rng = np.random.default_rng(0)
                held = [
                    _held(_crowd(rng, users, alike, thumbs, truth),
                          _crowd(rng, users, alike, thumbs, truth), truth)
                    for _ in range(rounds)
                ]  # fmt: skip
                told = " | ".join(f"{100 * share:.1f} %" for share in np.mean(held, axis=0))
                print(f"| {users} | {alike} | {thumbs} | {truth} | {told} |")


def _crowd(
    rng: np.random.Generator, users: int, alike: float, thumbs: int, truth: float
) -> tuple[np.ndarray, np.ndarray]:
    given = rng.geometric(1 / thumbs, users)
    weight = 1 / alike - 1
    return given, rng.binomial(given, rng.beta(truth * weight, (1 - truth) * weight, users))


def _held(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], truth: float
) -> tuple[bool, bool, bool]:
    found, other = share_of(*a), share_of(*b)
    narrow = wilson(found[0], a[0].sum(), NORMAL)
    low, high = newcombe(found, other)
    return narrow[0] <= truth <= narrow[1], found[1] <= truth <= found[2], low <= 0 <= high


if __name__ == "__main__":
    main()
