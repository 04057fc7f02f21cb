"""The power going, in this process, at durable steps of a training."""

from collections.abc import Callable, Sequence

import pytest

from nearer.flows import train
from nearer.learn import checkpoint
from nearer.store import files, leases
from nearer.training import run


class PowerCut(Exception):
    """Nothing of what runs expects it."""


def cut(patch: pytest.MonkeyPatch, when: Callable[[str], bool]) -> None:
    """The power goes at steps for which ``when`` is true."""

    def reached(step: str) -> None:
        if when(step):
            _leave_without_goodbye()
            raise PowerCut(step)

    for module in (checkpoint, run, train):
        patch.setattr(module, "reached", reached)


def _leave_without_goodbye() -> None:
    """As a process that dies: its locks go with it, and what it was writing belongs to nobody."""
    for lock, _ in leases._present.values():
        lock.release()
    leases._present.clear()
    files._renew_token()


def cut_at(patch: pytest.MonkeyPatch, wanted: str, time: int = 1) -> None:
    """The power goes at that time of one step."""
    times = iter(range(1, 1000))
    cut(patch, lambda step: step == wanted and next(times) == time)


def cut_at_each(monkeypatch: pytest.MonkeyPatch, steps: Sequence[str], run: Callable[[], object]) -> None:
    """Call ``run`` again and again; the power goes at one of these steps each time."""
    for step in steps:
        with monkeypatch.context() as patch:
            cut_at(patch, step)
            with pytest.raises(PowerCut):
                run()
