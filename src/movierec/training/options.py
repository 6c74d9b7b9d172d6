"""Where and how a training runs: nothing here changes what the model is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrainingOptions"]


class TrainingOptions(BaseModel):
    """Device, seed and folders of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of weights, dropout and batches")
    mixed_precision: bool = Field(True, description="bfloat16 layers on CUDA; no effect elsewhere")
    checkpoint: Path | None = Field(None, description="file rewritten after every epoch")

    def for_fit(self, number: int, seed: int) -> Self:
        """Return the same for a version's n-th fit, which has a checkpoint of its own."""
        path = self.checkpoint
        if path is not None and number > 1:
            path = path.with_name(f"{path.stem}-{number}{path.suffix}")
        return self.model_copy(update={"seed": seed, "checkpoint": path})

    @property
    def kept_by_workers(self) -> Path | None:
        """Folder of the checkpoints that several workers keep together."""
        return None if self.checkpoint is None else self.checkpoint.with_suffix("")

    def forget_checkpoints(self) -> None:
        """Delete the checkpoints of every fit, and what a killed process left half written."""
        path = self.checkpoint
        if path is not None:
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            name = f"{path.stem}*{path.suffix}"
            for file in (*path.parent.glob(name), *path.parent.glob(f".{name}.*")):
                file.unlink(missing_ok=True)
