"""How the schema came about: append-only steps, each with its own frozen tables.

A step never mentions the live tables of ``store/database.py``, so that changing those cannot change history.
"""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

Migration = Callable[[Connection], None]


def m001_first_schema(connection: Connection) -> None:
    """Create the tables of version 0.1."""
    schema = sa.MetaData()
    _m001_collection(schema)
    _m001_control(schema)
    _m001_measured(schema)
    schema.create_all(connection, checkfirst=False)


def _m001_collection(schema: sa.MetaData) -> None:
    sa.Table(
        "documents",
        schema,
        sa.Column("doc_id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("text_hash", sa.Text, nullable=False),
    )
    sa.Table(
        "queries",
        schema,
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
    )
    sa.Table(
        "split_members",
        schema,
        sa.Column("split", sa.Text, primary_key=True),
        sa.Column("query_id", sa.Text, sa.ForeignKey("queries.query_id"), primary_key=True),
    )
    sa.Table(
        "judgments",
        schema,
        sa.Column("query_id", sa.Text, sa.ForeignKey("queries.query_id"), primary_key=True),
        sa.Column("doc_id", sa.Text, sa.ForeignKey("documents.doc_id"), primary_key=True),
        sa.Column("grade", sa.Integer, nullable=False),
    )
    sa.Table(
        "pairs",
        schema,
        sa.Column("pair_id", sa.Text, primary_key=True),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("positive", sa.Text, nullable=False),
        sa.Column("negatives", sa.JSON, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("negative_scores", sa.JSON, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
    )


def _m001_control(schema: sa.MetaData) -> None:
    sa.Table(
        "models",
        schema,
        sa.Column("model_id", sa.Text, primary_key=True),
        sa.Column("encoder_id", sa.Text, nullable=False, unique=True),
        sa.Column("parent_model_id", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("encoder", sa.JSON, nullable=False),
        sa.Column("training", sa.JSON),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    sa.Table(
        "releases",
        schema,
        sa.Column("release_id", sa.Text, primary_key=True),
        sa.Column("model_id", sa.Text, sa.ForeignKey("models.model_id"), nullable=False),
        sa.Column("space_id", sa.Text, nullable=False),
        sa.Column("system", sa.JSON, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    sa.Table(
        "pointers",
        schema,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
    )
    sa.Table(
        "history",
        schema,
        sa.Column("event_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("release_id", sa.Text),
        sa.Column("previous_release_id", sa.Text),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    sa.Table(
        "ledger",
        schema,
        sa.Column("look_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("systems", sa.JSON, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
    )
    sa.Table(
        "evaluations",
        schema,
        sa.Column("evaluation_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
    )


def _m001_measured(schema: sa.MetaData) -> None:
    sa.Table(
        "rerankers",
        schema,
        sa.Column("reranker_id", sa.Text, primary_key=True),
        sa.Column("cross_encoder_id", sa.Text, nullable=False, unique=True),
        sa.Column("parent_id", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("training", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    sa.Table(
        "probes",
        schema,
        sa.Column("declaration_id", sa.Text, primary_key=True),
        sa.Column("vectors", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    sa.Table(
        "api_usage",
        schema,
        sa.Column("usage_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("num_requests", sa.Integer, nullable=False),
        sa.Column("num_tokens", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
    )
    sa.Table(
        "revisions",
        schema,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    sa.Table(
        "suite_runs",
        schema,
        sa.Column("suite_run_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
    )


MIGRATIONS: tuple[Migration, ...] = (m001_first_schema,)
"""Applied in order, once each. Append; never change one that was released."""
