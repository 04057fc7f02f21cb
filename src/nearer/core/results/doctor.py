"""What is installed, and what keeps a workspace from working."""

from dataclasses import dataclass
from typing import Literal

from nearer.core.results.base import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Result):
    """What was looked at: "ok", a "note" that keeps nothing from working, or a "fault"; ``command`` mends it."""

    what: str
    level: Literal["ok", "note", "fault"]
    sentence: str
    command: str | None = None


def ok(what: str, sentence: str) -> Finding:
    """That something is as it should be."""
    return Finding(what=what, level="ok", sentence=sentence)


def note(what: str, sentence: str, command: str | None = None) -> Finding:
    """What is worth knowing, and keeps nothing from working."""
    return Finding(what=what, level="note", sentence=sentence, command=command)


def fault(what: str, sentence: str, command: str | None = None) -> Finding:
    """What keeps something from working, and the command that mends it."""
    return Finding(what=what, level="fault", sentence=sentence, command=command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package(Result):
    """A requirement, the extra that brings it (None: always needed), and the version that is installed, if any."""

    name: str
    wanted: str
    installed: str | None
    fits: bool
    extra: str | None
    command: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup(Result):
    """The verdict is "faults" where there is one; ``workspace`` is None where the folder is none."""

    verdict: Literal["ok", "faults"]
    findings: tuple[Finding, ...]
    packages: tuple[Package, ...]
    workspace: str | None
    version: str
    python: str
    platform: str
