"""The power going, in this process, at failpoints."""

from collections.abc import Callable, Sequence

import pytest

from nearer.core import failpoints
from nearer.store import files, leases


class PowerCut(Exception):
    """Nothing of what runs expects it."""


def cut(patch: pytest.MonkeyPatch, when: Callable[[str], bool]) -> None:
    """The power goes at failpoints for which ``when`` is true."""

    def handler(name: str) -> None:
        if when(name):
            _leave_without_goodbye()
            raise PowerCut(name)

    patch.setattr(failpoints, "handler", handler)


def _leave_without_goodbye() -> None:
    """As a process that dies: its locks go with it, and what it was writing belongs to nobody."""
    for lock, _ in leases._present.values():
        lock.release()
    leases._present.clear()
    files._renew_token()


def cut_at(patch: pytest.MonkeyPatch, wanted: str, time: int = 1) -> None:
    """The power goes at that time of one failpoint."""
    times = iter(range(1, 1000))
    cut(patch, lambda name: name == wanted and next(times) == time)


def cut_at_each(monkeypatch: pytest.MonkeyPatch, names: Sequence[str], run: Callable[[], object]) -> None:
    """Call ``run`` again and again; the power goes at one of these each time."""
    for name in names:
        with monkeypatch.context() as patch:
            cut_at(patch, name)
            with pytest.raises(PowerCut):
                run()
