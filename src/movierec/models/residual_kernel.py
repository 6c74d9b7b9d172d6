"""How alike the errors of one user's ratings are expected to be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from movierec.data.dataset import FloatArray, IntArray
from movierec.errors import ArtifactError
from movierec.models.arrays import Float64Array, NamedArrays, floats

__all__ = ["KERNEL", "ResidualKernel"]

# variance and scale in turn
_NAMES = ("taste", "length", "short", "short_seconds", "long", "long_seconds")


@dataclass(frozen=True)
class ResidualKernel:
    """How alike the residuals of two ratings of one user are expected to be.

        taste * exp((cos(i, j) - 1) / length)                             whatever the time
        + short * exp(-|t - t'| / short_seconds) + long * exp(-|t - t'| / long_seconds)

    with the cosine of the movies' centred rating vectors. The first term is the squared-exponential
    kernel on directions, the others Ornstein and Uhlenbeck's (Rasmussen and Williams 2006, Gaussian
    Processes for Machine Learning, section 4.2): ratings given in one sitting err alike. Variances
    are in units of the rating noise, times in seconds.
    """

    taste: float
    length: float
    short: float
    short_seconds: float
    long: float
    long_seconds: float

    def __post_init__(self) -> None:
        for name in _NAMES:  # as they are stored, so that a round trip is lossless
            object.__setattr__(self, name, float(np.float32(getattr(self, name))))

    @property
    def uses_timestamps(self) -> bool:
        """Whether the time of a rating matters."""
        return self.short > 0 or self.long > 0

    def scaled(self, taste: float, time: float) -> ResidualKernel:
        """Return the kernel with its variances multiplied."""
        return replace(
            self, taste=self.taste * taste, short=self.short * time, long=self.long * time
        )

    def numbers(self) -> FloatArray:
        """Return the six numbers, (6,)."""
        return np.array([getattr(self, name) for name in _NAMES], np.float32)

    @classmethod
    def of(cls, arrays: NamedArrays) -> ResidualKernel:
        """Bring a kernel back from a model's `arrays()`; ArtifactError when it is no kernel."""
        numbers = floats(arrays, "residual_kernel", len(_NAMES))
        if not (np.isfinite(numbers).all() and (numbers >= 0).all() and numbers[1::2].all()):
            raise ArtifactError("The model's residual kernel holds numbers that cannot be.")
        return cls(*(float(value) for value in numbers))

    def of_taste(self, cosine: FloatArray) -> Float64Array:
        """Return the first term for a matrix of cosines."""
        return self.taste * np.exp((cosine.astype(np.float64) - 1) / self.length)

    def of_time(self, one: IntArray, other: IntArray) -> Float64Array:
        """Return the other terms for every pair of times in seconds, (m,), (n,) -> (m, n)."""
        apart = np.abs(one[:, None] - other).astype(np.float64)
        short = self.short * np.exp(-apart / self.short_seconds)
        return np.asarray(short + self.long * np.exp(-apart / self.long_seconds))


# chosen on validation parts of MovieLens 100K: docs/LOG.md
KERNEL = ResidualKernel(
    taste=0.165, length=1 / 3, short=0.11, short_seconds=30, long=0.105, long_seconds=10_000
)
