"""What a Dockerfile says: its stages, and the few forms of instructions that ours uses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

__all__ = ["Copy", "Instruction", "Mount", "Run", "Stage", "expanded", "pairs", "read_stages"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word in capitals, and what follows it on one line."""

    word: str
    rest: str


@dataclass(frozen=True)
class Stage:
    """A FROM with what follows it."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> Instruction | None:
        """Return the last instruction of a kind, the one in force."""
        return next((each for each in reversed(self.instructions) if each.word == word), None)

    @property
    def command(self) -> list[str]:
        """What the image runs unless told otherwise."""
        found = self.last("CMD")
        return list(json.loads(found.rest)) if found else []

    @property
    def health(self) -> list[str]:
        """The command that says whether the image is well."""
        found = self.last("HEALTHCHECK")
        return list(json.loads(found.rest.partition("CMD ")[2])) if found else []


@dataclass(frozen=True)
class Mount:
    """What a RUN sees for its own time: a secret at a path, or a cache."""

    kind: str
    name: str
    target: PurePosixPath


@dataclass(frozen=True)
class Run:
    """A RUN: the shell's line and its mounts."""

    line: str
    mounts: list[Mount]

    @classmethod
    def of(cls, rest: str) -> Run:
        """Take a RUN's mounts from its line."""
        words, mounts = rest, []
        while words.startswith("--mount="):
            option, _, words = words.partition(" ")
            mounts.append(_mount(option.removeprefix("--mount=")))
            words = words.lstrip()
        return cls(words, mounts)


@dataclass(frozen=True)
class Copy:
    """A COPY: from which stage (none: the build context), what and where to."""

    stage: str
    sources: list[str]
    target: str

    @classmethod
    def of(cls, rest: str) -> Copy:
        """Take a COPY apart."""
        words = shlex.split(rest)
        stage = next((w.partition("=")[2] for w in words if w.startswith("--from=")), "")
        *sources, target = [word for word in words if not word.startswith("--")]
        return cls(stage, sources, target)


def read_stages(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile in order."""
    stages: list[Stage] = []
    for each in _instructions(text):
        if each.word == "FROM":
            base, _, name = each.rest.partition(" AS ")
            stages.append(Stage(name.strip() or str(len(stages)), base.strip()))
        elif stages:
            stages[-1].instructions.append(each)
    return stages


def pairs(rest: str) -> dict[str, str]:
    """Return the values of an ENV."""
    return dict(word.split("=", 1) for word in shlex.split(rest))


def expanded(text: str, values: dict[str, str]) -> str:
    """Put values in place of `$NAME` and `${NAME}`."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def _instructions(text: str) -> Iterator[Instruction]:
    """Join continued lines; a comment inside them is none of the instruction."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Instruction(word.upper(), rest.strip())


def _mount(text: str) -> Mount:
    facts = dict(part.split("=", 1) for part in text.split(","))
    name = facts.get("id", "")
    return Mount(facts["type"], name, PurePosixPath(facts.get("target", f"/run/secrets/{name}")))
