"""A location that machines share, at any fsspec URL: versions as folders, errors translated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from movierec.errors import ArtifactError, MovierecError, SettingsError
from movierec.registry.manifest import MAX_BYTES
from movierec.registry.names import METADATA, is_name

__all__ = ["Location"]

CHUNK = 2**20
BLOCK = 8 * 2**20  # what S3 is asked for at once
S3 = ("s3", "s3a")
# no folders are made there: s3fs would make a bucket of a misspelt name
_FLAT = {*S3, "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "memory"}
# a server that does not answer must not hold anybody for minutes
_PATIENCE = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
# bytes of a part and how many are sent at a time; s3fs itself would take half a gigabyte
_SENDING = {"chunksize": 16 * 2**20, "max_concurrency": 3}
_RETRIES = 2  # of s3fs itself, above those of its client

_ACCESS = (
    "Check that you may read and write there. For S3: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials."
)
_NETWORK = "Check the network and, where S3 is not Amazon's, AWS_ENDPOINT_URL; then try again."
_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "s3fs": "`make s3` installs it; as a package: pip install 'movierec[s3]'.",
        "no folder": "Make it, or mount the disk that has it.",
        "importerror": "Install the package that it names.",
        "protocol not known": "It looks like s3://bucket/folder or file:///mnt/models.",
        "credential": _ACCESS,
        "accesskey": _ACCESS,
        "signature": _ACCESS,
        "permission": _ACCESS,
        "forbidden": _ACCESS,
        "denied": _ACCESS,
        "bucket does not exist": "Make the bucket, or correct MOVIEREC_ARTIFACTS_URL.",
        "no space": "Free some space there, or ask for more; nothing was lost.",
        "quota": "Free some space there, or ask for more; nothing was lost.",
        "connect": _NETWORK,
        "timed out": _NETWORK,
        "timeout": _NETWORK,
        "resolve": _NETWORK,
    }
)


class Location:
    """Versions at a URL, each a folder as it lies here, `metadata.json` the last file to come.

    Methods raise ArtifactError when it cannot be reached, read or written.

    Raises:
        SettingsError: that is no URL.

    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        if not urlsplit(url).scheme or "://" not in url:
            raise SettingsError(
                f"MOVIEREC_ARTIFACTS_URL = {url!r} is not a URL.",
                hint="It looks like s3://bucket/folder or file:///mnt/models.",
            )
        self.shown = _without_secrets(self.url)

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that it is; None for any other location."""
        parts = urlsplit(self.url)
        return Path(parts.path) if parts.scheme in ("file", "local") else None

    def names(self) -> set[str]:
        """Return the versions that are whole there."""
        paths = (path.partition("/") for path in self._sizes(""))
        return {name for name, _, file in paths if file == METADATA and is_name(name)}

    def sizes(self, name: str) -> dict[str, int]:
        """Return the bytes of each file of a version; nothing where there is none."""
        return self._sizes(name)

    def metadata(self, name: str) -> bytes | None:
        """Return a version's `metadata.json`; None where there is no such version, or half of it.

        Raises:
            ArtifactError: it is larger than any can be.

        """
        with self._translated(), suppress(FileNotFoundError):
            system, root = self._open()
            with system.open(f"{root}/{name}/{METADATA}", "rb") as file:
                content: bytes = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ArtifactError(
                    f"{METADATA} of version {name} in {self.shown} has more than "
                    f"{MAX_BYTES // 2**20} MB, which is not believed.",
                    hint="Somebody replaced it: delete the version, or put a backup there.",
                )
            return content
        return None

    def chunks(self, name: str, file: str) -> Iterator[bytes]:
        """Yield the bytes of one file of a version.

        Raises:
            ArtifactError: it is missing too.

        """
        with self._translated():
            system, root = self._open()
            try:
                source = system.open(f"{root}/{name}/{file}", "rb", block_size=BLOCK)
            except FileNotFoundError as error:
                raise ArtifactError(
                    f"{file} of version {name} is missing in {self.shown}.",
                    hint=f"On a machine where it is whole: `movierec versions push {name}`.",
                ) from error
        with closing(source):
            while chunk := self._read(source):
                yield chunk

    def put(self, name: str, file: str, source: Path) -> None:
        """Copy one file of a version there; one of that name is replaced."""
        with self._translated():
            system, root = self._open()
            path = f"{root}/{name}/{file}"
            if not self._is_flat:
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.put_file(str(source), path, **(_SENDING if self._is_s3 else {}))

    def remove(self, name: str) -> None:
        """Remove a version, or what there is of it; half removed, it counts as not there."""
        found = self.sizes(name)
        with self._translated(), suppress(FileNotFoundError):
            system, root = self._open()
            if METADATA in found:
                system.rm_file(f"{root}/{name}/{METADATA}")
            if found:
                system.rm(f"{root}/{name}", recursive=True)

    @property
    def _is_s3(self) -> bool:
        return urlsplit(self.url).scheme in S3

    @property
    def _is_flat(self) -> bool:
        return urlsplit(self.url).scheme in _FLAT

    def _open(self) -> tuple[Any, str]:
        """Return the file system and the path in it; fsspec keeps the connection."""
        import fsspec

        options: dict[str, Any] = {"config_kwargs": _PATIENCE} if self._is_s3 else {}
        # others write there as well: what it listed once is not true for long
        system, root = fsspec.url_to_fs(self.url, use_listings_cache=False, **options)
        if self._is_s3:
            system.retries = _RETRIES
        if not self._is_flat and not system.isdir(root):
            # a disk that is not mounted must not be taken for an empty folder
            raise _unusable(NotADirectoryError(f"there is no folder {root}"), self.shown)
        return system, root

    def _sizes(self, below: str) -> dict[str, int]:
        with self._translated():
            system, root = self._open()
            folder = f"{root}/{below}".rstrip("/")
            found = system.find(folder, detail=True)
            return {path.removeprefix(f"{folder}/"): facts["size"] for path, facts in found.items()}

    def _read(self, source: Any) -> bytes:
        with self._translated():
            chunk: bytes = source.read(CHUNK)
            return chunk

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except MovierecError:
            raise
        except Exception as error:  # each implementation of fsspec raises what it likes
            raise _unusable(error, self.shown) from error


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _unusable(error: Exception, shown: str) -> ArtifactError:
    cause = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
    text = f"{type(error).__name__} {cause}".lower()
    hint = next((hint for key, hint in _HINTS.items() if key in text), "")
    return ArtifactError(
        f"The versions in {shown} cannot be reached: {cause}.",
        hint=hint or "Check MOVIEREC_ARTIFACTS_URL; `movierec doctor` tries it.",
    )
