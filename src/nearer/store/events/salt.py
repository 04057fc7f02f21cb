"""The salt of a workspace: it hides who users are, and marks the query ids that the service gave."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from nearer.core.errors import WorkspaceError
from nearer.store.files import sync, unfinished_name

_BYTES = 32
QUERY_PREFIX = "query-"
_HALF = 16


class Salt:
    """Random bytes that never leave the workspace."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def open(cls, folder: Path) -> "Salt":
        """The salt kept in ``folder``, made where there is none: one for all processes.

        Raises WorkspaceError where it is damaged; OSError where it cannot be made.
        """
        path = folder / "salt"
        with suppress(FileExistsError):
            if not path.exists():
                _make(path)
        secret = path.read_bytes()
        if len(secret) != _BYTES:
            raise WorkspaceError(f"{path}: damaged: {len(secret)} bytes", hint="restore it from a backup")
        return cls(secret)

    @classmethod
    def passing(cls) -> "Salt":
        """A salt of this process alone, for a workspace that may not be written."""
        return cls(secrets.token_bytes(_BYTES))

    @property
    def fingerprint(self) -> str:
        """What tells salts apart, and nothing of what they are."""
        return self._sign("salt", num_hex=2 * _HALF)

    def hashed(self, name: str | None) -> str:
        """A user or session as it is kept: 128 bits that only this workspace can make; nobody is empty."""
        return self._sign(f"person {name}", num_hex=2 * _HALF) if name else ""

    def new_query_id(self) -> str:
        """A query id that no one else can make."""
        drawn = secrets.token_hex(_HALF // 2)
        return f"{QUERY_PREFIX}{drawn}{self._sign(f'query {drawn}', num_hex=_HALF)}"

    def gave(self, query_id: str) -> bool:
        """Whether a query id was made with this salt."""
        drawn, signature = query_id.removeprefix(QUERY_PREFIX)[:_HALF], query_id[len(QUERY_PREFIX) + _HALF :]
        made = self._sign(f"query {drawn}", num_hex=_HALF)
        return query_id.startswith(QUERY_PREFIX) and hmac.compare_digest(made.encode(), signature.encode())

    def _sign(self, text: str, *, num_hex: int) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:num_hex]


def _make(path: Path) -> None:
    """Write a new salt, unless another process has just written one. Raises FileExistsError then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.parent / unfinished_name(secrets.token_hex(8))
    try:
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(written, path)  # unlike a rename it never takes the place of another's
    finally:
        written.unlink(missing_ok=True)
    sync(path.parent)
