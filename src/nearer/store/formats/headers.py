"""The header of a table as spreadsheets and pandas write it: columns without a name, and what their cells may hold."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nearer.core.errors import InputError
from nearer.store.formats.columns import Columns, tell_taken
from nearer.store.formats.rows import LeftOut, shown
from nearer.store.formats.source import Source

_UNSEEN = "\ufeff\u200b\u2060"
_WHOLE = re.compile(r"[0-9]+(?:\.0)?")
_NAME_IT = "name it, or leave it out (pandas: index=False)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The names of the columns that are read and their places among ``width`` cells; all others have no name.

    ``index`` is the first column where it has no name: pandas writes its row numbers so. ``taken`` has the columns that
    are spelled otherwise than the fields that they are taken as.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    width: int
    index: int | None
    taken: Mapping[str, str]

    @classmethod
    def read(cls, cells: Sequence[str], columns: Columns) -> "Header":
        """The header that a first row is; white space around a name is not part of it."""
        stripped = [cell if columns.knows(cell) else cell.strip().strip(_UNSEEN) for cell in cells]
        index = 0 if len(stripped) > 1 and columns.is_unnamed(stripped[0]) else None
        places = tuple(place for place, name in enumerate(stripped) if name and place != index)
        named = [stripped[place] for place in places]
        taken = columns.taken_as(named)
        names = tuple(taken.get(name, name) for name in named)
        return cls(names=names, places=places, width=len(stripped), index=index, taken=taken)

    @classmethod
    def of(cls, names: Sequence[str]) -> "Header":
        """The header of a file that has none, all of its columns known."""
        return cls(names=tuple(names), places=tuple(range(len(names))), width=len(names), index=None, taken={})

    def tell(self, source: Source) -> None:
        """Note which columns are not read, and which as another name."""
        tell_taken(self.taken, source)
        if self.index is not None:
            source.notes.say(source.path, "the first column has no name and holds row numbers: excluded")
        if num_empty := self.width - len(self.places) - (self.index is not None):
            source.notes.say(source.path, f"columns without a name and without values, excluded ({num_empty})")

    def named(self, cells: Sequence[str]) -> list[str] | None:
        """The cells of the columns that are read; None where their number is not the header's.

        Raises LeftOut for a row of empty cells, InputError for a value in a column without a name.
        """
        if not any(cell and not cell.isspace() for cell in cells):
            raise LeftOut("empty rows, excluded")
        if len(cells) < self.width or any(cells[self.width :]):
            return None
        for place in range(self.width):
            if place not in self.places and not self._may_hold(place, cells[place]):
                what = "no row number" if place == self.index else "a value"
                reason = f"column {place + 1} has no name, and holds {what}: {shown(cells[place])}"
                raise InputError(reason, hint=_NAME_IT)
        return [cells[place] for place in self.places]

    def _may_hold(self, place: int, cell: str) -> bool:
        return not cell or (place == self.index and _WHOLE.fullmatch(cell) is not None)
