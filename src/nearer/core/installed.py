"""Which of this package's requirements are installed, by the extra that brings them."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from nearer.core.results.doctor import Package

PACKAGE = "nearer"
_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")
_HIDDEN = frozenset({"dev", "all"})
"""Extras that bring nothing of their own to users."""


def packages() -> tuple[Package, ...]:
    """Every requirement that holds here: those always needed first, then by extra."""
    found = []
    for text in requires(PACKAGE) or ():
        requirement, named = Requirement(text), _EXTRA.search(text)
        extra = named.group(1) if named else None
        is_meant = requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""})
        if extra not in _HIDDEN and is_meant and requirement.name != PACKAGE:
            found.append(_package(requirement, extra))
    return tuple(sorted(found, key=lambda each: (each.extra or "", each.name.lower())))


def _package(requirement: Requirement, extra: str | None) -> Package:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        installed = None
    fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    return Package(
        name=requirement.name,
        wanted=str(requirement.specifier),
        installed=installed,
        fits=fits,
        extra=extra,
        command=None if fits else f"pip install '{PACKAGE}[{extra}]'" if extra else f"pip install '{requirement}'",
    )
