"""Where what a workspace knows is kept, and addresses of servers, which hold no password."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from nearer.core.sections.base import Section

HERE = "here"
"""An address: a server of the workspace's own."""
_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_FILES = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.-]+)*/?")


class StoreRecipe(Section):
    """Which database holds all records, and which object storage models and LanceDB's tables."""

    url: str | None = Field(
        default=None,
        description=(
            "of a PostgreSQL in place of the workspace's own SQLite: `postgresql://USER@HOST/DATABASE`, without a "
            'password; `"$NAME"` for the whole address in that variable of the environment; or `"here"`'
        ),
    )

    @field_validator("url")
    @classmethod
    def _is_plain(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            refuse_password(value, elsewhere='PGPASSWORD, ~/.pgpass, or the whole address into a variable: "$NAME"')
        return value

    files: str | None = Field(
        default=None,
        description=(
            "object storage for models and the tables of LanceDB, as `s3://BUCKET/PREFIX`; credentials come from the "
            "environment alone"
        ),
    )

    @field_validator("files")
    @classmethod
    def _without_keys(cls, value: str | None) -> str | None:
        if value is not None and (_FILES.fullmatch(value) is None or {"..", "."}.intersection(value.split("/"))):
            raise ValueError(
                "must be as s3://BUCKET/PREFIX, without keys: those go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        return value


def refuse_password(address: str, *, elsewhere: str) -> None:
    """Raises ValueError for what is no address of a PostgreSQL, or has a password, which belongs ``elsewhere``.

    >>> refuse_password("postgresql://me@db.example.org/shop", elsewhere="PGPASSWORD")
    >>> refuse_password("postgresql://me:secret@db.example.org/shop", elsewhere="PGPASSWORD")
    Traceback (most recent call last):
    ValueError: must be "here", or as postgresql://USER@HOST/DATABASE without a password: that goes into PGPASSWORD
    """
    if address == HERE:
        return
    try:
        parts = urlsplit(address)
        is_plain = parts.scheme in ("postgresql", "postgres") and parts.password is None
    except ValueError:
        is_plain = False
    if not is_plain or "password" in parts.query:
        text = f'must be "{HERE}", or as postgresql://USER@HOST/DATABASE without a password: that goes into {elsewhere}'
        raise ValueError(text)
