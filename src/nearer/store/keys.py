"""The keys of a workspace's service: a secret is shown once and kept as its hash alone."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa

from nearer.core.errors import Conflict, InputError, NotFound
from nearer.core.failpoints import failpoint
from nearer.store.database import Database
from nearer.store.registry import utc_now
from nearer.store.tables import api_keys

Scope = Literal["read", "write", "label", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Ask; change documents; judge pairs; change what is live, and start jobs. Each is given by itself."""

_NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key; at most ``per_minute`` requests in a minute, where that is set."""

    key_id: str
    name: str
    hash: str
    scopes: tuple[Scope, ...]
    per_minute: int | None
    created_at: str


class Keys:
    """The keys there are; ``now`` tells the time."""

    def __init__(self, database: Database, *, now: Callable[[], str] = utc_now) -> None:
        self._database, self._now = database, now

    def add(self, name: str, *, scopes: Sequence[str], per_minute: int | None = None) -> tuple[Key, str]:
        """Make a key; with it its secret, which nobody can tell again.

        Raises InputError for a name, scope or rate that is none, Conflict for a name that is taken.
        """
        if not name.strip() or len(name) > _NAME_CHARACTERS:
            raise InputError("a key has a name of 1 to 100 characters", hint="for example: nearer key add shop")
        if unknown := [each for each in scopes if each not in SCOPES]:
            raise InputError(f"{unknown[0]!r} is no scope", hint=f"the scopes are: {', '.join(SCOPES)}")
        if not scopes or (per_minute is not None and per_minute < 1):
            raise InputError("a key has a scope, and a rate of 1 or more", hint="for example: --scope read --rate 600")
        key_id, token = f"key-{secrets.token_hex(6)}", f"nearer_{secrets.token_urlsafe(32)}"
        row = {
            "key_id": key_id,
            "name": name,
            "hash": _hash(token),
            "scopes": [each for each in SCOPES if each in scopes],
            "per_minute": per_minute,
            "created_at": self._now(),
        }
        with self._database.write() as connection:
            if connection.scalar(sa.select(api_keys.c.key_id).where(api_keys.c.name == name)):
                raise Conflict(f"there is a key {name!r} already", hint=f"remove it first: nearer key remove {name}")
            connection.execute(api_keys.insert(), [row])
        failpoint("keys.commit")
        return next(key for key in self.all() if key.key_id == key_id), token

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        statement = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
        with self._database.read() as connection:
            rows = [dict(row._mapping) for row in connection.execute(statement)]
        return [Key(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]

    def remove(self, name: str) -> Key:
        """Remove the key of that name or id; services refuse it within a second. Raises NotFound."""
        found = [key for key in self.all() if name in (key.name, key.key_id)]
        if not found:
            raise NotFound(f"no key {name!r}", hint="list them: nearer key list")
        with self._database.write() as connection:
            connection.execute(api_keys.delete().where(api_keys.c.key_id == found[0].key_id))
        return found[0]


def matching(token: str, keys: Sequence[Key]) -> Key | None:
    """The key that a token is of; it is compared with every key, each in a time that tells nothing of the token."""
    given = _hash(token)
    found = None
    for key in keys:
        if hmac.compare_digest(given, key.hash):
            found = key
    return found


def _hash(token: str) -> str:
    """SHA-256: what has 256 random bits needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
