"""How files were taken, where that is not word for word what they hold."""

from pathlib import Path


class Notes:
    """What is to be said of files that were read, each thing once a file, with how often it was so."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def say(self, path: Path, text: str) -> None:
        """Note something about a file as a whole."""
        self._counts.setdefault((path.name, text), 0)

    def count(self, path: Path, text: str, number: int = 1) -> None:
        """Note something about one row, or ``number`` of them."""
        self._counts[path.name, text] = self._counts.get((path.name, text), 0) + number

    def lines(self) -> tuple[str, ...]:
        """One line a thing, in the order in which they were first noted."""
        return tuple(
            f"{name}: {text}" + (f": {number}" if number else "") for (name, text), number in self._counts.items()
        )
