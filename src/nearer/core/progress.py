"""How a long step reports that it moves, without knowing who watches."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


def one(_: object) -> int:
    """What an item counts, unless its size is told."""
    return 1


class Progress(Protocol):
    """What a flow tells its watcher."""

    def track(self, items: Iterable[T], *, label: str, total: int, size: Callable[[T], int] = one) -> Generator[T]:
        """Yield ``items`` unchanged while showing how much of ``total`` is done; an item counts its ``size``.

        A ``total`` of 0 is unknown.
        """
        ...

    def say(self, text: str) -> None:
        """Show one line."""
        ...


class OutOfTime(Exception):
    """What a progress raises between two items when the time is over."""


class Silent:
    """Nobody watches."""

    def track(self, items: Iterable[T], *, label: str, total: int, size: Callable[[T], int] = one) -> Generator[T]:
        """Yield ``items`` unchanged."""
        yield from items

    def say(self, text: str) -> None:
        """Say nothing."""


@contextmanager
def phase(progress: Progress, label: str) -> Iterator[None]:
    """Show that something is done that cannot be counted, until it is."""
    steps = progress.track((None,), label=label, total=0)
    with closing(steps):
        next(steps)
        yield
        next(steps, None)
