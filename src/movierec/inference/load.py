"""From a version's name to a version ready to answer."""

from __future__ import annotations

from movierec.data.dataset import Dataset
from movierec.data.splits import CommonSpec, Split, SplitSpec, make_split, recorded_spec
from movierec.errors import ArtifactError, NotFoundError
from movierec.inference.parts import SplitParts, parts_of
from movierec.inference.version import LoadedVersion
from movierec.models.arrays import NamedArrays
from movierec.models.factory import GRAPHSAGE, load_recommender
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.user_encoder import UserEncoder
from movierec.registry import Registry
from movierec.registry.safe_pickle import safe_load
from movierec.settings import Settings, load_settings
from movierec.store import DatasetRecord, Store, VersionRecord, open_store
from movierec.store.datasets import DatasetStore

__all__ = [
    "bring_back",
    "data_of",
    "data_record_of",
    "kept_parts",
    "load_from",
    "load_version",
    "split_of",
]

PREPROCESSOR = "preprocessor.pkl"


def load_version(name: str = "current", settings: Settings | None = None) -> LoadedVersion:
    """Load a version, its data set and the ratings it knows; imports no torch.

    Raises:
        NotFoundError: there is no such version, or its data set was deleted.
        ArtifactError: its files are missing, changed, or of other data than the database's.

    """
    settings = settings or load_settings()
    with open_store(settings) as store:
        registry = Registry(settings, store)
        record = registry.get(name)
        return load_from(registry, record, data_of(store, record), store.datasets)


def load_from(
    registry: Registry,
    record: VersionRecord,
    dataset: Dataset,
    datasets: DatasetStore | None = None,
) -> LoadedVersion:
    """Load a version of this data set from its files; raises as `load_version`.

    With `datasets`, what its split tells of a large data set is kept beside the snapshot.
    """
    preprocessor = None
    if record.model == GRAPHSAGE:
        state = safe_load(registry.file(record.name, PREPROCESSOR), {})
        preprocessor = FeaturePreprocessor.from_state(state)
    arrays = registry.arrays(record.name, mmap=True)
    parts = None if datasets is None else kept_parts(datasets, record, dataset)
    return bring_back(record, arrays, dataset, preprocessor, parts)


def data_of(store: Store, record: VersionRecord) -> Dataset:
    """Load the data a version was trained on; raises as `data_record_of`."""
    return store.datasets.load(data_record_of(store, record).name)


def data_record_of(store: Store, record: VersionRecord) -> DatasetRecord:
    """Return the data a version was trained on, whatever it is called in this database.

    Where the database has other data of that name, it is those: `bring_back` refuses them.

    Raises:
        NotFoundError: the data set is not there.

    """
    known = store.datasets.list()
    found = [data for data in known if data.fingerprint == record.fingerprint]
    found += [data for data in known if data.name == record.dataset_name]
    if found:
        return found[0]
    raise NotFoundError(
        f"There is no data set {record.dataset_name!r}; version {record.name} was trained on it.",
        hint="Import the same data: `movierec data fetch` for MovieLens, else "
        f"`movierec data import`. Its fingerprint is {record.fingerprint[:12]}…",
    )


def bring_back(
    record: VersionRecord,
    arrays: NamedArrays,
    dataset: Dataset,
    preprocessor: FeaturePreprocessor | None = None,
    parts: SplitParts | None = None,
) -> LoadedVersion:
    """Put a version together from its row, its arrays and its data set.

    `parts`: those of its split, where they are at hand.

    The arrays already know the split's support part: they answer as they were evaluated.

    Raises:
        ArtifactError: the data set or the split is not the one the version was trained on, or
            the arrays do not fit.

    """
    parts = parts or SplitParts.of(dataset, split_of(record, dataset))
    sizes = (dataset.n_users, dataset.n_movies)
    return LoadedVersion(
        record.name,
        load_recommender(record.model, arrays),
        dataset,
        parts.known,
        record.metadata.with_facts(model=record.model),
        UserEncoder.of(arrays, record.metadata, parts.known, sizes),
        preprocessor,
        parts,
    )


def kept_parts(datasets: DatasetStore, record: VersionRecord, dataset: Dataset) -> SplitParts:
    """Return the parts of a version's split, kept for a large data set; raises as `split_of`."""
    spec = _spec_of(record, dataset)
    parts = parts_of(datasets, dataset, spec)
    _require_same(record, spec, parts.sha256)
    return parts


def split_of(record: VersionRecord, dataset: Dataset) -> Split:
    """Make the version's split again and check that its test part is the same one.

    Raises:
        ArtifactError: the data or the test part is another one, or the version does not say how
            its data was split.
        SplitError: the data set cannot give this split.

    """
    split = make_split(dataset, _spec_of(record, dataset))
    _require_same(record, split.spec, split.sha256)
    return split


def _spec_of(record: VersionRecord, dataset: Dataset) -> SplitSpec:
    if record.fingerprint != dataset.fingerprint:
        raise ArtifactError(
            f"Version {record.name} was trained on other data than the data set "
            f"{dataset.name} now holds.",
            hint="Import the same data again, or train a new version.",
        )
    try:
        spec = recorded_spec(record.metadata.split)
    except ValueError as error:
        raise _unsaid(record) from error
    if isinstance(spec, CommonSpec):  # nothing is trained on what several splits hold out
        raise _unsaid(record)
    return spec


def _require_same(record: VersionRecord, spec: SplitSpec | CommonSpec, sha256: str) -> None:
    if record.metadata.split_test_sha256 is None:
        raise _unsaid(record)
    if sha256 != record.metadata.split_test_sha256:
        raise ArtifactError(
            f"Version {record.name} was trained on another split than {spec.label} gives today.",
            hint="Train a new version.",
        )


def _unsaid(record: VersionRecord) -> ArtifactError:
    return ArtifactError(
        f"The metadata of version {record.name} does not say how its data was split.",
        hint="Train the version again.",
    )
