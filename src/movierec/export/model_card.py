"""A version's model card: what it is, how good for whom, what it is not for, how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from movierec.data.sources.obtain import CITATION
from movierec.errors import MovierecError
from movierec.export.model_card_sections import (
    certainty,
    code_block,
    code_span,
    decimal,
    limits,
    listed,
    markdown_table,
    metrics,
    plain_text,
    slices,
)
from movierec.metadata import GitState, VersionMetadata
from movierec.registry.lineage import lineage
from movierec.store import DatasetRecord, Store, VersionRecord
from movierec.workflows.command import train_command
from movierec.workflows.requests import TrainRequest, full_hyperparameters

__all__ = ["model_card"]

DASH = "–"
MOVIELENS = "ml-"


def model_card(store: Store, record: VersionRecord) -> str:
    """Return a version's model card as Markdown; its numbers are those of `metadata.json`.

    Raises:
        StoreError: the database cannot be read.

    """
    data = store.datasets.find(record.fingerprint)
    origin = lineage(store, record).facts()
    parts = [
        f"# {record.name}: {plain_text(record.preset)} on {plain_text(record.dataset_name)}",
        _summary(record),
        _words(record),
        *_section("Model", _model(record)),
        *_section("Data", _data(record, data, origin)),
        *_section("Protocol", _protocol(record)),
        *_section("Test metrics", metrics(record)),
        *_section("Groups, worst served first", slices(record)),
        *_section("Certainty", certainty(record)),
        *_section("Cost", _cost(record)),
        *_section("Limits", limits(record, data)),
        *_section("Use it", _usage(record)),
        *_section("Train it again", _again(record)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, *bodies: str) -> Iterator[str]:
    if any(bodies):
        yield f"## {title}"
        yield from bodies


def _summary(record: VersionRecord) -> str:
    facts = record.metadata
    members = facts.members or 1
    kind = f"{members} networks averaged" if members > 1 else "one model"
    refit = ", trained again on train and validation part together" if facts.refit else ""
    current = " It is the current version." if record.is_current else ""
    return (
        f"A movie recommender ({plain_text(record.model)}, preset {plain_text(record.preset)}; "
        f"{kind}{refit}) with {record.parameters:,} parameters, trained on "
        f"{record.created_at:%Y-%m-%d}.{current}"
    )


def _words(record: VersionRecord) -> str:
    told = {"Tags": ", ".join(record.tags), "Notes": record.notes}
    return "\n".join(f"- {name}: {plain_text(text)}" for name, text in told.items() if text)


def _model(record: VersionRecord) -> str:
    facts = record.metadata
    told = listed({
        "Seed": facts.seed,
        "Epochs": _epochs(facts),
        "Picked by": facts.metrics_protocol,
        "Code": _code(facts.git),
        "Libraries": ", ".join(f"{k} {v}" for k, v in facts.libraries.items()),
    })  # fmt: skip
    return "\n\n".join(part for part in (_hyperparameters(record), told) if part)


def _epochs(facts: VersionMetadata) -> str:
    trained, best = facts.epochs_trained, facts.best_epoch
    return f"{trained}, the best was {best}" if trained and best else ""


def _code(git: GitState) -> str:
    return f"commit {git.commit}{' with changes' * bool(git.dirty)}" if git.commit else ""


def _hyperparameters(record: VersionRecord) -> str:
    """Return what differs from the preset as it is now."""
    values = record.metadata.hyperparameters
    usual = _usual(record.preset)
    rows = [
        (code_span(name), plain_text(value), plain_text(usual.get(name, DASH)))
        for name, value in values.items()
        if name not in usual or usual[name] != value
    ]
    if not rows:
        return f"All hyperparameters are those of the preset {plain_text(record.preset)}."
    return markdown_table(("Hyperparameter", "Here", f"In {plain_text(record.preset)}"), rows)


def _usual(preset: str) -> dict[str, Any]:
    try:
        return full_hyperparameters(TrainRequest(preset=preset))
    except (MovierecError, ValidationError):  # of another movierec
        return {}


def _data(record: VersionRecord, data: DatasetRecord | None, origin: Mapping[str, str]) -> str:
    facts, report = record.metadata, data.report if data else {}
    counts = (facts.num_ratings, facts.num_users_trained, facts.num_movies)
    named = zip(("ratings", "users in the train part", "movies"), counts, strict=True)
    cited = record.dataset_name.startswith(MOVIELENS)
    told = listed({
        **origin,
        "Fingerprint": record.fingerprint,
        "Size": ", ".join(f"{count:,} {name}" for name, count in named if count),
        "Ratings": f"{data.rating_low:g} to {data.rating_high:g} stars" if data else "",
        "Rated": _period(report),
    })  # fmt: skip
    return f"{told}\n- Citation: {CITATION}" if cited else told


def _period(report: Mapping[str, Any]) -> str:
    first, last = (str(report.get(name) or "")[:10] for name in ("first_rating", "last_rating"))
    return f"{first} to {last}" if first and last else ""


def _protocol(record: VersionRecord) -> str:
    rules = record.metadata.evaluation.protocol
    parts = {"train": rules.n_train, "validation": rules.n_validation, "test": rules.n_test}
    return listed({
        "Split": record.split_label,
        "Ratings": ", ".join(f"{n:,} {name}" for name, n in parts.items() if n is not None),
        "Test users": rules.n_test_users,
        "Ranked": rules.users_ranked,
        "Lists": "" if rules.k is None else f"the top {rules.k}",
        **{f"Candidates, {name}": text for name, text in rules.candidates.items()},
        "Counts as a hit": "; ".join(
            f"{name}: {f'rated {value} or more' if value else 'every held-out rating'}"
            for name, value in rules.thresholds.items()
        ),
        "Predictions": rules.predictions,
        "Time of a rating": rules.rating_time,
    })  # fmt: skip


def _cost(record: VersionRecord) -> str:
    facts = record.metadata
    seconds = facts.durations
    return listed({
        "Training": f"{decimal(seconds.fit, 1)} s of {decimal(seconds.total, 1)} s "
        "in all",
        "Device": facts.device,
        "CPU threads": facts.threads,
        "Largest memory": f"{decimal(facts.peak_memory_mb, 0)} MB",
        "Parameters": f"{record.parameters:,}",
        "Files": f"{record.size_bytes:,} bytes",
    })  # fmt: skip


def _usage(record: VersionRecord) -> str:
    code = (
        "from movierec import load_version\n\n"
        f'version = load_version("{record.name}")\n'
        "user = version.dataset.users.ids[0]\n"
        "for movie in version.recommend(user, k=5):\n"
        "    print(movie.rank, movie.title, movie.predicted_rating)"
    )
    name = record.name
    commands = f"movierec recommend --version {name} --user 1\nmovierec evaluate {name}"
    return f"{code_block(code, 'python')}\n\n{code_block(commands, 'sh')}"


def _again(record: VersionRecord) -> str:
    command = _command(record)
    if not command:
        return "This movierec does not know its settings; another one trained it."
    return (
        f"{code_block(command, 'sh')}\n\nOn a CPU with the same libraries the same command gives "
        "the same weights; on a GPU they differ in the last digits."
    )


def _command(record: VersionRecord) -> str:
    facts = record.metadata
    values = facts.hyperparameters
    try:
        request = TrainRequest.of(
            preset=record.preset,
            dataset=record.dataset_name,
            split=facts.split.as_dict(),
            seed=facts.seed or 0,
            members=facts.members or 1,
            refit=bool(facts.refit),
            hyperparameters=values,
        )
        return train_command(request.model_copy(update={"hyperparameters": {}}), values, {})
    except (MovierecError, ValidationError, TypeError):
        return ""
