"""Keys of the service: added, listed, removed."""

from collections.abc import Sequence

from nearer.core.errors import InputError
from nearer.core.results.service import KeyChange, KeyEntry, KeyList
from nearer.store.keys import Key, Keys
from nearer.store.workspace import Workspace


def add_key(
    workspace: Workspace, name: str, *, scopes: Sequence[str] = ("read",), per_minute: int | None = None
) -> KeyChange:
    """Make a key; the answer has its token, which is kept nowhere.

    Raises InputError for a name, scope or rate that is none, Conflict for a name that is taken.
    """
    key, token = Keys(workspace.database).add(name, scopes=scopes, per_minute=per_minute)
    return KeyChange(action="added", key=_entry(key), token=token)


def list_keys(workspace: Workspace) -> KeyList:
    """The keys there are."""
    return KeyList(entries=tuple(_entry(key) for key in Keys(workspace.database).all()))


def remove_key(workspace: Workspace, name: str) -> KeyChange:
    """Remove the key of that name or id. Raises NotFound."""
    return KeyChange(action="removed", key=_entry(Keys(workspace.database).remove(name)))


def key(
    workspace: Workspace, action: str, name: str | None, *, scopes: Sequence[str] = (), per_minute: int | None = None
) -> KeyChange | KeyList:
    """What ``nearer key`` does. Raises InputError for another action, and for a name or options that do not fit it."""
    has_options = bool(scopes) or per_minute is not None
    if action == "list" and name is None and not has_options:
        return list_keys(workspace)
    if action == "add" and name is not None:
        return add_key(workspace, name, scopes=scopes or ("read",), per_minute=per_minute)
    if action == "remove" and name is not None and not has_options:
        return remove_key(workspace, name)
    given = " ".join([action, *([name] if name is not None else [])])
    raise InputError(
        f"nearer key {given}{' with options' if has_options else ''}: not known",
        hint="nearer key list; nearer key add NAME --scope read; nearer key remove NAME",
    )


def _entry(key: Key) -> KeyEntry:
    return KeyEntry(
        key_id=key.key_id, name=key.name, scopes=key.scopes, per_minute=key.per_minute, created_at=key.created_at
    )
