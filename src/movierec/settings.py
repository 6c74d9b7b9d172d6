"""Where things live on this machine: read from the environment or `.env` when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movierec.errors import SettingsError

__all__ = ["Settings", "load_settings", "project_root"]


def project_root() -> Path:
    """Return the project folder: the checkout that holds this package, else the working folder."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


class Settings(BaseSettings):
    """Circumstances shared by every command; each is settable as `MOVIEREC_<NAME>`.

    Relative paths are taken from the project folder.
    """

    model_config = SettingsConfigDict(
        env_prefix="MOVIEREC_", env_file=".env", extra="ignore", frozen=True
    )

    home: Path = Field(default_factory=project_root, description="project folder")
    data_dir: Path = Field(Path("data"), description="downloads, snapshots and the database")
    models_dir: Path = Field(Path("models"), description="one folder per version")
    runs_dir: Path = Field(Path("data/runs"), description="checkpoints and logs of runs")
    database_url: str = Field("", description="any SQLAlchemy URL; empty: SQLite in data_dir")
    artifacts_url: str = Field(
        "", description="where machines share versions, any fsspec URL; empty: models_dir alone"
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of torch; 0: all cores")
    worker_slots: int = Field(1, ge=1, le=64, description="runs that a worker does at once")
    worker_idle: float = Field(
        60.0, gt=0, description="seconds without work after which a worker started by itself ends"
    )
    cancel_grace: float = Field(
        10.0, ge=0, description="seconds a cancelled run may take before it is killed"
    )
    keep_checkpoints_days: float = Field(
        14.0, ge=0, description="days that checkpoints of runs without a result are kept"
    )
    trash_days: float = Field(
        7.0, ge=0, le=36_500, description="days a deleted version can be restored; 0: never"
    )
    promotion_guards: Annotated[tuple[str, ...], NoDecode] = Field(
        ("rmse", "ndcg_full"),
        description="metrics, separated by commas, that a promotion may not worsen",
    )
    ml_100k_url: str = Field(
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        description="where GroupLens offers MovieLens 100K",
    )
    fetch_timeout: float = Field(20.0, gt=0, description="seconds to wait for a server's answer")

    api_host: str = Field("127.0.0.1", description="address that `movierec serve` listens on")
    api_port: int = Field(8000, ge=0, le=65_535, description="its port; 0: a free one")
    api_keys: SecretStr = Field(SecretStr(""), description="keys of the API, separated by commas")
    api_keys_file: str = Field("", description="file with one key of the API per line")
    api_open: bool = Field(
        False, description="whether the API may listen beyond this machine without keys"
    )
    api_rate: int = Field(
        0, ge=0, le=1_000_000, description="requests a minute per key or address; 0: any number"
    )
    api_body_limit: int = Field(
        1_048_576, ge=1024, le=1_073_741_824, description="bytes that a request's body may have"
    )
    api_timeout: float = Field(
        30.0, gt=0, le=3600, description="seconds that a request to the API may take"
    )
    api_traffic: str = Field(
        "", description="shares of users per version: v1.2.0=0.5,current=0.5; empty: current"
    )
    api_salt: str = Field("movierec", description="what is hashed with a user's id for the shares")

    @field_validator("promotion_guards", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Take a comma list apart."""
        if not isinstance(value, str):
            return value
        return tuple(word for part in value.split(",") if (word := part.strip()))

    @property
    def data_path(self) -> Path:
        """Absolute folder of downloads, snapshots and the database."""
        return self.home / self.data_dir

    @property
    def models_path(self) -> Path:
        """Absolute folder of the versions."""
        return self.home / self.models_dir

    @property
    def runs_path(self) -> Path:
        """Absolute folder of the runs' checkpoints and logs."""
        return self.home / self.runs_dir

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.data_path / 'recommender.db'}"

    @property
    def database_path(self) -> Path | None:
        """The SQLite file in force, or None for a server."""
        prefix = "sqlite:///"
        return (
            Path(self.database.removeprefix(prefix)) if self.database.startswith(prefix) else None
        )


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; `overrides` win.

    Raises:
        SettingsError: a value is malformed; the message names the variable.

    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            f"MOVIEREC_{name} = {first['input']!r} cannot be used: {first['msg']}.",
            hint="Correct it in the environment or in .env.",
        ) from error
