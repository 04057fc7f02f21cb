"""What changed of one kind of record."""

from dataclasses import dataclass

from nearer.core.results.base import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Result):
    """What an import did to one kind of record."""

    num_added: int = 0
    num_updated: int = 0
    num_unchanged: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(
            num_added=self.num_added + other.num_added,
            num_updated=self.num_updated + other.num_updated,
            num_unchanged=self.num_unchanged + other.num_unchanged,
        )

    @property
    def num_rows(self) -> int:
        """All of them."""
        return self.num_added + self.num_updated + self.num_unchanged
