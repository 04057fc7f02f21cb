"""One place for what every machine has sealed of the event log: object storage, or the database in PostgreSQL.

The folder of each machine holds all of it, beside the files that its own processes still write; so whatever reads the
log reads files. A name says who wrote a file, so no two machines write the same one. Only forgetting and retention
change a file: it is there under its new checksum then, and the old one goes. Who was forgotten is there too, so that a
machine that was away, or was restored from a backup, forgets them before it gives anything.
"""

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.parquet
import sqlalchemy as sa

from nearer.core.errors import ServiceError, WorkspaceBusy, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.store.database import Database, insert_into
from nearer.store.events.forgetting import (
    Forgotten,
    as_note,
    forget_noted,
    note_of,
    read_forgotten,
    sealed_files,
    table_bytes,
    without,
)
from nearer.store.events.records import SCHEMAS, Kind
from nearer.store.events.salt import Salt
from nearer.store.events.segments import open_files
from nearer.store.files import write_atomic
from nearer.store.leases import lease
from nearer.store.objects import Objects
from nearer.store.tables import event_files

if TYPE_CHECKING:
    from nearer.store.workspace import Workspace

_SEALED = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d-[0-9a-f]{32}-[0-9a-f]{8}\.|import-[0-9a-f]{32}/)(?P<kind>impressions|events)\.parquet"
)
_NOTED = re.compile(r"forgotten-[0-9a-f]{32}\.json")
_SALT = "salt-"
_PATIENCE_S, _AGAIN_S = 60.0, 0.2


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A file in the place, by its name and the SHA-256 of what it holds."""

    name: str
    sha256: str


class Place(Protocol):
    """Where files are kept by name and checksum; each is there whole or not at all."""

    @property
    def address(self) -> str:
        """What messages call it."""
        ...

    def entries(self) -> set[Entry]:
        """All files. Raises ServiceError or WorkspaceError where it cannot be read."""
        ...

    def get(self, entry: Entry) -> bytes | None:
        """What a file holds, None where it is gone."""
        ...

    def put(self, entry: Entry, content: bytes) -> None:
        """Keep a file; one that is there already stays."""
        ...

    def remove(self, entry: Entry) -> None:
        """Remove a file, if it is there."""
        ...


class ObjectPlace:
    """Below an address of object storage: ``events/SHA256/NAME``."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.address = f"{objects.address}/events"

    def entries(self) -> set[Entry]:
        """All files. Raises ServiceError."""
        parts = [name.split("/", 2) for name in self._objects.names("events")]
        return {Entry(name=rest[2], sha256=rest[1]) for rest in parts if len(rest) == 3}

    def get(self, entry: Entry) -> bytes | None:
        """What a file holds, None where it is gone. Raises ServiceError."""
        return self._objects.get(self._name(entry))

    def put(self, entry: Entry, content: bytes) -> None:
        """Keep a file. Raises ServiceError."""
        self._objects.put(self._name(entry), content)

    def remove(self, entry: Entry) -> None:
        """Remove a file. Raises ServiceError."""
        self._objects.remove(self._name(entry))

    def _name(self, entry: Entry) -> str:
        return f"events/{entry.sha256}/{entry.name}"


class DatabasePlace:
    """A table of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.address = database.name

    def entries(self) -> set[Entry]:
        """All files. Raises WorkspaceError."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(event_files.c.name, event_files.c.sha256))
            return {Entry(name=name, sha256=sha256) for name, sha256 in rows}

    def get(self, entry: Entry) -> bytes | None:
        """What a file holds, None where it is gone. Raises WorkspaceError."""
        with self._database.read() as connection:
            content = connection.scalar(sa.select(event_files.c.content).where(*_is(entry)))
        return None if content is None else bytes(content)

    def put(self, entry: Entry, content: bytes) -> None:
        """Keep a file. Raises WorkspaceError."""
        row = {"name": entry.name, "sha256": entry.sha256, "content": content}
        with self._database.write(holder="the event log") as connection:
            connection.execute(insert_into(connection, event_files).values(row).on_conflict_do_nothing())

    def remove(self, entry: Entry) -> None:
        """Remove a file. Raises WorkspaceError."""
        with self._database.write(holder="the event log") as connection:
            connection.execute(event_files.delete().where(*_is(entry)))


def event_folder(workspace: "Workspace") -> Path:
    """The folder of the event log, with what other machines have sealed where the recipe names a place for that.

    Raises ServiceError or WorkspaceError where that cannot be reached, or holds events of another salt; then what is
    here is whole, but not all.
    """
    if (place := shared_place(workspace)) is not None:
        with _alone(workspace):
            share_events(workspace.events, place)
    return workspace.events


def shared_place(workspace: "Workspace") -> Place | None:
    """Where a workspace shares its events: object storage first, then PostgreSQL; None for one of one machine."""
    if workspace.recipe.store.files is not None:
        return ObjectPlace(Objects(workspace.recipe.store.files))
    return None if workspace.recipe.store.url is None else DatabasePlace(workspace.database)


def share_events(folder: Path, place: Place) -> None:
    """Have the sealed files of ``folder`` and of the place be the same; nobody else may change the folder meanwhile.

    Raises as ``event_folder`` does.
    """
    there = place.entries()
    _refuse_other_salt(folder, place, there)
    _share_notes(folder, place, there)
    failpoint("events.noted")
    versions: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(there):
        if _SEALED.fullmatch(entry.name):
            versions[entry.name].append(entry)
    forgotten, being_written = read_forgotten(folder), {path.stem for path in open_files(folder)}
    here = {path.relative_to(folder).as_posix() for path in sealed_files(folder)}
    for name in sorted({*versions, *here}):
        if name.split(".")[0] not in being_written and _SEALED.fullmatch(name):
            _share_file(folder, name, versions[name], place, forgotten)


def _share_file(folder: Path, name: str, there: list[Entry], place: Place, forgotten: Sequence[Forgotten]) -> None:
    """Have a file be here and there as it is with the fewest records: what went from one version goes from all."""
    path = folder / name
    mine = path.read_bytes() if path.exists() else None
    if mine is not None and there == [_entry(name, mine)]:
        return
    contents = [mine, *(_checked(each, place) for each in there)]
    versions = [_without(each, name, forgotten) for each in contents if each is not None]
    if not versions:  # all of them changed meanwhile: the next time
        return
    _, _, best = min((num_rows, _entry(name, content) not in there, content) for num_rows, content in versions)
    kept = _entry(name, best)
    if best != mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, best)
    if kept not in there:
        place.put(kept, best)
    failpoint("events.shared")
    for each in there:
        if each != kept:
            place.remove(each)


def _without(content: bytes, name: str, forgotten: Sequence[Forgotten]) -> tuple[int, bytes]:
    """How many records of a file stay, and the file with these alone."""
    table = _read(content, name)
    left = without(forgotten, _kind_of(name), table)
    return left.num_rows, content if left.num_rows == table.num_rows else table_bytes(left)


def _share_notes(folder: Path, place: Place, there: set[Entry]) -> None:
    """Forget here who was forgotten elsewhere, and say there who was forgotten here."""
    noted = {each.name: each for each in there if _NOTED.fullmatch(each.name)}
    for person in read_forgotten(folder):
        content = as_note(person)
        entry = _entry(note_of(person), content)
        write_atomic(folder / entry.name, content)
        if noted.pop(entry.name, None) is None:
            place.put(entry, content)
    for entry in noted.values():
        if (note := _checked(entry, place)) is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / entry.name, note)
    if noted:
        forget_noted(folder)


def _refuse_other_salt(folder: Path, place: Place, there: set[Entry]) -> None:
    """Raises WorkspaceError where users there have other names than here."""
    content = _SALT.encode()
    ours = _entry(_SALT + Salt.open(folder).fingerprint, content)
    theirs = [each for each in there if each.name.startswith(_SALT)]
    if not theirs:
        place.put(ours, content)
    elif theirs != [ours]:
        raise WorkspaceError(
            f"{place.address} has events of another salt than {folder / 'salt'}",
            hint=f"copy {folder / 'salt'} from the machine that was there first, then repeat",
        )


def _checked(entry: Entry, place: Place) -> bytes | None:
    content = place.get(entry)
    if content is not None and _entry(entry.name, content) != entry:
        raise ServiceError(
            f"{place.address}: {entry.name} is not what was put there",
            hint="remove it; the machine that has it repeats",
        )
    return content


def _read(content: bytes, name: str) -> pa.Table:
    try:
        return pyarrow.parquet.read_table(pa.BufferReader(content), schema=SCHEMAS[_kind_of(name)])
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise WorkspaceError(f"{name}: cannot be read: {error}", hint="restore it from a backup") from error


def _kind_of(name: str) -> Kind:
    return "impressions" if name.endswith("impressions.parquet") else "events"


def _entry(name: str, content: bytes) -> Entry:
    return Entry(name=name, sha256=hashlib.sha256(content).hexdigest())


def _is(entry: Entry) -> tuple[sa.ColumnElement[bool], ...]:
    return event_files.c.name == entry.name, event_files.c.sha256 == entry.sha256


@contextmanager
def _alone(workspace: "Workspace") -> Iterator[None]:
    """Be the only one who changes the folder, after whoever does it now."""
    workspace.begin_writing()
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with lease(workspace.locks / "events.lock", holder="nearer events"):
                yield
                return
        except WorkspaceBusy:
            if time.monotonic() > until:
                raise
        time.sleep(_AGAIN_S)
