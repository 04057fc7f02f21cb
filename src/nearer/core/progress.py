"""How a long step reports that it moves, without knowing who watches."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """What a flow tells its watcher."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Yield ``items`` unchanged while showing how many of ``total`` are done."""
        ...

    def say(self, text: str) -> None:
        """Show one line."""
        ...


class Silent:
    """Nobody watches."""

    def track(self, items: Iterable[T], *, label: str, total: int) -> Iterator[T]:
        """Yield ``items`` unchanged."""
        yield from items

    def say(self, text: str) -> None:
        """Say nothing."""
