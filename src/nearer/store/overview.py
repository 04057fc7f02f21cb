"""What ``nearer status`` shows of the database, by plain SQL that SQLite and PostgreSQL both know.

SQLAlchemy takes longer to load than all else that a status does. So Python's own module reads an SQLite file whose
tables are of this version. Any other is opened as always: that updates older tables, or says what is wrong.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearer.core.errors import NotFound
from nearer.core.results.status import ApiTotal, ModelStatus, ReleaseStatus, RerankerStatus
from nearer.store.files import is_writable
from nearer.store.migrations import HEAD, VERSION_COLUMN, VERSION_TABLE
from nearer.store.registered import UNMEASURED
from nearer.store.workspace import Workspace

if TYPE_CHECKING:
    from nearer.store.database import Database

Select = Callable[[str], list[tuple[Any, ...]]]
"""The rows of a statement."""

_RELEASE = """
    SELECT release_id, model_id, space_id, system, created_at, (SELECT COUNT(*) FROM documents)
    FROM releases WHERE release_id = ({})
"""
_LIVE = "SELECT release_id FROM pointers WHERE name = 'live'"
_PREVIOUS = f"""
    SELECT previous_release_id FROM decisions
    WHERE release_id = ({_LIVE}) AND action = 'promote' ORDER BY decision_id DESC LIMIT 1
"""
_MODELS = """
    SELECT model_id, parent_model_id, created_at FROM models
    ORDER BY created_at, parent_model_id IS NOT NULL, model_id
"""
_RERANKERS = "SELECT reranker_id, parent_id, created_at FROM rerankers ORDER BY created_at, reranker_id"
_USAGE = """
    SELECT endpoint, model, CAST(SUM(num_requests) AS BIGINT), CAST(SUM(num_tokens) AS BIGINT),
        CASE WHEN COUNT(cost_usd) = COUNT(*) THEN SUM(cost_usd) END
    FROM api_usage GROUP BY endpoint, model ORDER BY endpoint, model
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What there is: the release that is live, the one before, models, rerankers, and what services were asked."""

    live: ReleaseStatus | None
    previous: ReleaseStatus | None
    models: tuple[ModelStatus, ...]
    rerankers: tuple[RerankerStatus, ...]
    api: tuple[ApiTotal, ...]
    num_bytes: int


def overview(workspace: Workspace) -> Overview:
    """What a workspace holds, of one moment.

    Raises WorkspaceError when it cannot be read, NotFound when what is live is no release.
    """
    file = workspace.unopened_file
    return (_from_file(file) if file else None) or overview_of(workspace.database)


def overview_of(database: "Database") -> Overview:
    """What an open database holds, of one moment. Raises what ``overview`` does."""
    with database.read() as connection:
        is_sqlite = connection.dialect.name == "sqlite"

        def select(statement: str) -> list[tuple[Any, ...]]:
            rows = connection.exec_driver_sql(statement)
            return [tuple(row) if is_sqlite else tuple(map(_unescaped, row)) for row in rows]

        return _read(select, num_bytes=database.num_bytes)


def _from_file(path: Path) -> Overview | None:
    """The overview of an SQLite file; None where its tables are of another version, or it cannot be read."""
    if not (path.exists() and path.stat().st_size and is_writable(path)):
        return None
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:

            def select(statement: str) -> list[tuple[Any, ...]]:
                return connection.execute(statement).fetchall()

            connection.execute("BEGIN")
            if select(f"SELECT {VERSION_COLUMN} FROM {VERSION_TABLE}") == [(HEAD,)]:
                return _read(select, num_bytes=path.stat().st_size)
    except (sqlite3.Error, ValueError):
        pass  # whoever opens the database says why
    return None


def _read(select: Select, *, num_bytes: int) -> Overview:
    return Overview(
        live=_release(select, _LIVE),
        previous=_release(select, _PREVIOUS),
        models=tuple(
            ModelStatus(model_id=model_id, parent_model_id=parent_id, created_at=at)
            for model_id, parent_id, at in select(_MODELS)
        ),
        rerankers=tuple(
            RerankerStatus(reranker_id=reranker_id, parent_id=parent_id, created_at=at)
            for reranker_id, parent_id, at in select(_RERANKERS)
        ),
        api=tuple(
            ApiTotal(endpoint=endpoint, model=model, num_requests=requests, num_tokens=tokens, cost_usd=cost)
            for endpoint, model, requests, tokens, cost in select(_USAGE)
        ),
        num_bytes=num_bytes,
    )


def _release(select: Select, which: str) -> ReleaseStatus | None:
    """The release whose id a statement finds, None where it finds none. Raises NotFound where there is none by it."""
    wanted = [release_id for (release_id,) in select(which) if release_id is not None]
    if not wanted:
        return None
    rows = select(_RELEASE.format(which))
    if not rows:
        raise NotFound(f"no release {wanted[0]!r}", hint="list them: nearer history")
    [(release_id, model_id, space_id, text, created_at, num_documents)] = rows
    system = json.loads(text)
    return ReleaseStatus(
        release_id=release_id,
        model_id=model_id,
        space_id=space_id,
        is_unmeasured=bool(system.get(UNMEASURED)),
        stages=tuple(system.get("stages", ())),
        num_documents=num_documents,
        created_at=created_at,
    )


def _unescaped(value: Any) -> Any:
    from nearer.store.types import unescaped

    return unescaped(value) if isinstance(value, str) else value
