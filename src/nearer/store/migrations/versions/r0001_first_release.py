"""First release."""

import sqlalchemy as sa
from alembic import op

from nearer.store import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "api_keys",
        sa.Column("key_id", types.Text, nullable=False),
        sa.Column("name", types.Text, nullable=False),
        sa.Column("hash", types.Text, nullable=False),
        sa.Column("scopes", types.Json, nullable=False),
        sa.Column("per_minute", types.Integer, nullable=True),
        sa.Column("created_at", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "api_usage",
        sa.Column("usage_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("endpoint", types.Text, nullable=False),
        sa.Column("model", types.Text, nullable=False),
        sa.Column("num_requests", types.Integer, nullable=False),
        sa.Column("num_tokens", types.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("usage_id"),
    )
    op.create_table(
        "cycles",
        sa.Column("cycle_id", types.Text, nullable=False),
        sa.Column("number", types.Integer, nullable=False),
        sa.Column("news", types.Json, nullable=False),
        sa.Column("live_release_id", types.Text, nullable=True),
        sa.Column("started_at", types.Text, nullable=False),
        sa.Column("ended_at", types.Text, nullable=True),
        sa.Column("verdict", types.Text, nullable=True),
        sa.Column("reasons", types.Json, nullable=True),
        sa.PrimaryKeyConstraint("cycle_id"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("action", types.Text, nullable=False),
        sa.Column("model_id", types.Text, nullable=True),
        sa.Column("release_id", types.Text, nullable=True),
        sa.Column("previous_release_id", types.Text, nullable=True),
        sa.Column("reasons", types.Json, nullable=False),
        sa.Column("notes", types.Json, nullable=False),
        sa.Column("forced", types.Text, nullable=True),
        sa.Column("evaluation", types.JsonOrNull, nullable=True),
        sa.Column("suite", types.JsonOrNull, nullable=True),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    op.create_index(op.f("ix_decisions_release_id"), "decisions", ["release_id"], unique=False)
    op.create_table(
        "documents",
        sa.Column("doc_id", types.Text, nullable=False),
        sa.Column("title", types.Text, nullable=False),
        sa.Column("text", types.Text, nullable=False),
        sa.Column("metadata", types.Json, nullable=False),
        sa.Column("text_hash", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("doc_id"),
    )
    op.create_table(
        "event_files",
        sa.Column("name", types.Text, nullable=False),
        sa.Column("sha256", types.Text, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "sha256"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", types.Text, nullable=False),
        sa.Column("verb", types.Text, nullable=False),
        sa.Column("arguments", types.Json, nullable=False),
        sa.Column("state", types.Text, nullable=False),
        sa.Column("result", types.Json, nullable=True),
        sa.Column("created_at", types.Text, nullable=False),
        sa.Column("started_at", types.Text, nullable=True),
        sa.Column("ended_at", types.Text, nullable=True),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "label_sets",
        sa.Column("set_id", types.Text, nullable=False),
        sa.Column("name", types.Text, nullable=False),
        sa.Column("created_at", types.Text, nullable=False),
        sa.Column("max_grade", types.Integer, nullable=False),
        sa.Column("guideline", types.Json, nullable=False),
        sa.Column("strategy", types.Text, nullable=False),
        sa.Column("rankings", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("set_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "ledger",
        sa.Column("look_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("split", types.Text, nullable=False),
        sa.Column("systems", types.Json, nullable=False),
        sa.Column("purpose", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("look_id"),
    )
    op.create_table(
        "llm_answers",
        sa.Column("question_id", types.Text, nullable=False),
        sa.Column("model", types.Text, nullable=False),
        sa.Column("text", types.Text, nullable=True),
        sa.Column("fault", types.Text, nullable=False),
        sa.Column("num_read", types.Integer, nullable=False),
        sa.Column("num_written", types.Integer, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("doc_id", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("question_id"),
    )
    op.create_index(op.f("ix_llm_answers_doc_id"), "llm_answers", ["doc_id"], unique=False)
    op.create_table(
        "models",
        sa.Column("model_id", types.Text, nullable=False),
        sa.Column("encoder_id", types.Text, nullable=False),
        sa.Column("parent_model_id", types.Text, nullable=True),
        sa.Column("source", types.Text, nullable=False),
        sa.Column("encoder", types.Json, nullable=False),
        sa.Column("created_at", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("model_id"),
        sa.UniqueConstraint("encoder_id"),
    )
    op.create_table(
        "pairs",
        sa.Column("pair_id", types.Text, nullable=False),
        sa.Column("query", types.Text, nullable=False),
        sa.Column("positive", types.Text, nullable=False),
        sa.Column("negatives", types.Json, nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("negative_scores", types.Json, nullable=False),
        sa.Column("source", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("pair_id"),
    )
    op.create_table(
        "probes",
        sa.Column("declaration_id", types.Text, nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("declaration_id"),
    )
    op.create_table(
        "queries",
        sa.Column("query_id", types.Text, nullable=False),
        sa.Column("text", types.Text, nullable=False),
        sa.Column("metadata", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("query_id"),
    )
    op.create_table(
        "rerankers",
        sa.Column("reranker_id", types.Text, nullable=False),
        sa.Column("cross_encoder_id", types.Text, nullable=False),
        sa.Column("parent_id", types.Text, nullable=True),
        sa.Column("source", types.Text, nullable=False),
        sa.Column("created_at", types.Text, nullable=False),
        sa.PrimaryKeyConstraint("reranker_id"),
        sa.UniqueConstraint("cross_encoder_id"),
    )
    op.create_table(
        "results",
        sa.Column("result_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("verb", types.Text, nullable=False),
        sa.Column("split", types.Text, nullable=True),
        sa.Column("model_ids", types.Json, nullable=False),
        sa.Column("content", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("result_id"),
    )
    op.create_index(op.f("ix_results_verb"), "results", ["verb"], unique=False)
    op.create_table(
        "revisions",
        sa.Column("name", types.Text, nullable=False),
        sa.Column("number", types.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "shadows",
        sa.Column("shadow_id", types.Text, nullable=False),
        sa.Column("system", types.Text, nullable=False),
        sa.Column("model_id", types.Text, nullable=False),
        sa.Column("space_id", types.Text, nullable=False),
        sa.Column("description", types.Json, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("started_at", types.Text, nullable=False),
        sa.Column("ended_at", types.Text, nullable=True),
        sa.Column("num_offered", types.Integer, server_default="0", nullable=False),
        sa.Column("num_dropped", types.Integer, server_default="0", nullable=False),
        sa.Column("num_failed", types.Integer, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shadow_id"),
    )
    op.create_table(
        "trainings",
        sa.Column("training_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("started_at", types.Text, nullable=True),
        sa.Column("verb", types.Text, nullable=False),
        sa.Column("part_id", types.Text, nullable=True),
        sa.Column("is_improved", sa.Boolean(), nullable=False),
        sa.Column("record", types.Json, nullable=False),
        sa.PrimaryKeyConstraint("training_id"),
        sa.UniqueConstraint("started_at"),
    )
    op.create_index(op.f("ix_trainings_part_id"), "trainings", ["part_id"], unique=False)
    op.create_table(
        "cycle_stages",
        sa.Column("cycle_id", types.Text, nullable=False),
        sa.Column("stage", types.Text, nullable=False),
        sa.Column("input_hash", types.Text, nullable=False),
        sa.Column("state", types.Text, nullable=False),
        sa.Column("summary", types.Text, nullable=False),
        sa.Column("result", types.Json, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("took_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.cycle_id"],
        ),
        sa.PrimaryKeyConstraint("cycle_id", "stage"),
    )
    op.create_table(
        "judgments",
        sa.Column("query_id", types.Text, nullable=False),
        sa.Column("doc_id", types.Text, nullable=False),
        sa.Column("source", types.Text, nullable=False),
        sa.Column("rater", types.Text, nullable=False),
        sa.Column("grade", types.Integer, nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("document_hash", types.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["doc_id"],
            ["documents.doc_id"],
        ),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["queries.query_id"],
        ),
        sa.PrimaryKeyConstraint("query_id", "doc_id", "source", "rater"),
    )
    op.create_table(
        "label_pairs",
        sa.Column("pair_id", types.Text, nullable=False),
        sa.Column("set_id", types.Text, nullable=False),
        sa.Column("query_id", types.Text, nullable=False),
        sa.Column("doc_id", types.Text, nullable=False),
        sa.Column("wanted", types.Integer, nullable=False),
        sa.Column("shuffle", types.Integer, nullable=False),
        sa.Column("gold_grade", types.Integer, nullable=True),
        sa.Column("settled_grade", types.Integer, nullable=True),
        sa.Column("settled_by", types.Text, nullable=True),
        sa.ForeignKeyConstraint(
            ["doc_id"],
            ["documents.doc_id"],
        ),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["queries.query_id"],
        ),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["label_sets.set_id"],
        ),
        sa.PrimaryKeyConstraint("pair_id"),
        sa.UniqueConstraint("set_id", "query_id", "doc_id"),
    )
    op.create_index(op.f("ix_label_pairs_doc_id"), "label_pairs", ["doc_id"], unique=False)
    op.create_index(op.f("ix_label_pairs_set_id"), "label_pairs", ["set_id"], unique=False)
    op.create_table(
        "releases",
        sa.Column("release_id", types.Text, nullable=False),
        sa.Column("model_id", types.Text, nullable=False),
        sa.Column("space_id", types.Text, nullable=False),
        sa.Column("system", types.Json, nullable=False),
        sa.Column("created_at", types.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.model_id"],
        ),
        sa.PrimaryKeyConstraint("release_id"),
    )
    op.create_table(
        "shadow_answers",
        sa.Column("answer_id", types.Integer, autoincrement=True, nullable=False),
        sa.Column("shadow_id", types.Text, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("query", types.Text, nullable=False),
        sa.Column("live_release_id", types.Text, nullable=False),
        sa.Column("live", types.Json, nullable=False),
        sa.Column("shadow", types.Json, nullable=False),
        sa.Column("live_ms", sa.Float(), nullable=False),
        sa.Column("shadow_ms", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shadow_id"],
            ["shadows.shadow_id"],
        ),
        sa.PrimaryKeyConstraint("answer_id"),
    )
    op.create_index(op.f("ix_shadow_answers_shadow_id"), "shadow_answers", ["shadow_id"], unique=False)
    op.create_table(
        "split_members",
        sa.Column("split", types.Text, nullable=False),
        sa.Column("query_id", types.Text, nullable=False),
        sa.Column("is_waiting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["queries.query_id"],
        ),
        sa.PrimaryKeyConstraint("split", "query_id"),
    )
    op.create_table(
        "arms",
        sa.Column("arm_id", types.Text, nullable=False),
        sa.Column("release_id", types.Text, nullable=False),
        sa.Column("live_release_id", types.Text, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("started_at", types.Text, nullable=False),
        sa.Column("ended_at", types.Text, nullable=True),
        sa.ForeignKeyConstraint(
            ["live_release_id"],
            ["releases.release_id"],
        ),
        sa.ForeignKeyConstraint(
            ["release_id"],
            ["releases.release_id"],
        ),
        sa.PrimaryKeyConstraint("arm_id"),
    )
    op.create_table(
        "label_ratings",
        sa.Column("pair_id", types.Text, nullable=False),
        sa.Column("rater", types.Text, nullable=False),
        sa.Column("set_id", types.Text, nullable=False),
        sa.Column("state", types.Text, nullable=False),
        sa.Column("grade", types.Integer, nullable=True),
        sa.Column("reason", types.Text, nullable=False),
        sa.Column("at", types.Text, nullable=False),
        sa.Column("number", types.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["pair_id"],
            ["label_pairs.pair_id"],
        ),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["label_sets.set_id"],
        ),
        sa.PrimaryKeyConstraint("pair_id", "rater"),
    )
    op.create_index(op.f("ix_label_ratings_set_id"), "label_ratings", ["set_id"], unique=False)
    op.create_table(
        "pointers",
        sa.Column("name", types.Text, nullable=False),
        sa.Column("release_id", types.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id"],
            ["releases.release_id"],
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "experiments",
        sa.Column("experiment_id", types.Text, nullable=False),
        sa.Column("plan", types.Json, nullable=False),
        sa.Column("plan_hash", types.Text, nullable=False),
        sa.Column("arm_id", types.Text, nullable=False),
        sa.Column("control_release_id", types.Text, nullable=False),
        sa.Column("treatment_release_id", types.Text, nullable=False),
        sa.Column("started_at", types.Text, nullable=False),
        sa.Column("ended_at", types.Text, nullable=True),
        sa.Column("reason", types.Text, nullable=True),
        sa.Column("offline", types.Json, nullable=True),
        sa.Column("report", types.Json, nullable=True),
        sa.ForeignKeyConstraint(
            ["arm_id"],
            ["arms.arm_id"],
        ),
        sa.ForeignKeyConstraint(
            ["control_release_id"],
            ["releases.release_id"],
        ),
        sa.ForeignKeyConstraint(
            ["treatment_release_id"],
            ["releases.release_id"],
        ),
        sa.PrimaryKeyConstraint("experiment_id"),
    )
