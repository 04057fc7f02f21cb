"""The tables of a workspace's database, in SQLite and in PostgreSQL; ``store/migrations`` changes older ones."""

import sqlalchemy as sa

from nearer.store.types import Integer, Json, JsonOrNull, Text

metadata = sa.MetaData()

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("doc_id", Text, primary_key=True),
    sa.Column("title", Text, nullable=False),
    sa.Column("text", Text, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("text_hash", Text, nullable=False),
)

queries = sa.Table(
    "queries",
    metadata,
    sa.Column("query_id", Text, primary_key=True),
    sa.Column("text", Text, nullable=False),
    sa.Column("metadata", Json, nullable=False),
)

split_members = sa.Table(
    "split_members",
    metadata,
    sa.Column("split", Text, primary_key=True),
    sa.Column("query_id", Text, sa.ForeignKey("queries.query_id"), primary_key=True),
    sa.Column("is_waiting", sa.Boolean, nullable=False, server_default=sa.false()),  # there while few are judged
)

judgments = sa.Table(
    "judgments",
    metadata,
    sa.Column("query_id", Text, sa.ForeignKey("queries.query_id"), primary_key=True),
    sa.Column("doc_id", Text, sa.ForeignKey("documents.doc_id"), primary_key=True),
    sa.Column("source", Text, primary_key=True),
    sa.Column("rater", Text, primary_key=True),
    sa.Column("grade", Integer, nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("at", Text, nullable=False),
    sa.Column("document_hash", Text, nullable=False),
)
"""Who judged what; several may judge one pair. ``core/judging.py`` says what counts then."""

pairs = sa.Table(
    "pairs",
    metadata,
    sa.Column("pair_id", Text, primary_key=True),
    sa.Column("query", Text, nullable=False),
    sa.Column("positive", Text, nullable=False),
    sa.Column("negatives", Json, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("negative_scores", Json, nullable=False),
    sa.Column("source", Text, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("model_id", Text, primary_key=True),
    sa.Column("encoder_id", Text, nullable=False, unique=True),
    sa.Column("parent_model_id", Text),
    sa.Column("source", Text, nullable=False),
    sa.Column("encoder", Json, nullable=False),
    sa.Column("created_at", Text, nullable=False),
)

rerankers = sa.Table(
    "rerankers",
    metadata,
    sa.Column("reranker_id", Text, primary_key=True),
    sa.Column("cross_encoder_id", Text, nullable=False, unique=True),
    sa.Column("parent_id", Text),
    sa.Column("source", Text, nullable=False),
    sa.Column("created_at", Text, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("release_id", Text, primary_key=True),
    sa.Column("model_id", Text, sa.ForeignKey("models.model_id"), nullable=False),
    sa.Column("space_id", Text, nullable=False),
    sa.Column("system", Json, nullable=False),
    sa.Column("created_at", Text, nullable=False),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("training_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("started_at", Text, unique=True),
    sa.Column("verb", Text, nullable=False),
    sa.Column("part_id", Text, index=True),
    sa.Column("is_improved", sa.Boolean, nullable=False),
    sa.Column("record", Json, nullable=False),
)
"""How models and rerankers were made; ``part_id`` is the one that stands after it."""

pointers = sa.Table(
    "pointers",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("release_id", Text, sa.ForeignKey("releases.release_id"), nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("action", Text, nullable=False),
    sa.Column("model_id", Text),
    sa.Column("release_id", Text, index=True),
    sa.Column("previous_release_id", Text),
    sa.Column("reasons", Json, nullable=False),
    sa.Column("notes", Json, nullable=False),
    sa.Column("forced", Text),
    sa.Column("evaluation", JsonOrNull),
    sa.Column("suite", JsonOrNull),
)
"""What was promoted, refused and rolled back, and what the gate saw."""

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("look_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("split", Text, nullable=False),
    sa.Column("systems", Json, nullable=False),
    sa.Column("purpose", Text, nullable=False),
)

probes = sa.Table(
    "probes",
    metadata,
    sa.Column("declaration_id", Text, primary_key=True),
    sa.Column("vectors", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Text, nullable=False),
)

api_usage = sa.Table(
    "api_usage",
    metadata,
    sa.Column("usage_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("endpoint", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("num_requests", Integer, nullable=False),
    sa.Column("num_tokens", Integer, nullable=False),
    sa.Column("cost_usd", sa.Float),
)

revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("number", Integer, nullable=False),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("result_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("verb", Text, nullable=False, index=True),
    sa.Column("split", Text),
    sa.Column("model_ids", Json, nullable=False),
    sa.Column("content", Json, nullable=False),
)
"""What verbs answered, kept for the report; ``model_ids`` are of the systems of an evaluation, in their order."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", Text, primary_key=True),
    sa.Column("name", Text, nullable=False, unique=True),
    sa.Column("hash", Text, nullable=False),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("per_minute", Integer),
    sa.Column("created_at", Text, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", Text, primary_key=True),
    sa.Column("verb", Text, nullable=False),
    sa.Column("arguments", Json, nullable=False),
    sa.Column("state", Text, nullable=False),
    sa.Column("result", Json),
    sa.Column("created_at", Text, nullable=False),
    sa.Column("started_at", Text),
    sa.Column("ended_at", Text),
)

shadows = sa.Table(
    "shadows",
    metadata,
    sa.Column("shadow_id", Text, primary_key=True),
    sa.Column("system", Text, nullable=False),
    sa.Column("model_id", Text, nullable=False),
    sa.Column("space_id", Text, nullable=False),
    sa.Column("description", Json, nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("started_at", Text, nullable=False),
    sa.Column("ended_at", Text),
    sa.Column("num_offered", Integer, nullable=False, server_default="0"),
    sa.Column("num_dropped", Integer, nullable=False, server_default="0"),
    sa.Column("num_failed", Integer, nullable=False, server_default="0"),
)

shadow_answers = sa.Table(
    "shadow_answers",
    metadata,
    sa.Column("answer_id", Integer, primary_key=True, autoincrement=True),
    sa.Column("shadow_id", Text, sa.ForeignKey("shadows.shadow_id"), nullable=False, index=True),
    sa.Column("at", Text, nullable=False),
    sa.Column("query", Text, nullable=False),
    sa.Column("live_release_id", Text, nullable=False),
    sa.Column("live", Json, nullable=False),
    sa.Column("shadow", Json, nullable=False),
    sa.Column("live_ms", sa.Float, nullable=False),
    sa.Column("shadow_ms", sa.Float, nullable=False),
)
"""What live and a candidate answered to the same query: documents with their scores."""

arms = sa.Table(
    "arms",
    metadata,
    sa.Column("arm_id", Text, primary_key=True),
    sa.Column("release_id", Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("live_release_id", Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("started_at", Text, nullable=False),
    sa.Column("ended_at", Text),
)
"""Releases that answer a share of the users beside what is live."""

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("experiment_id", Text, primary_key=True),
    sa.Column("plan", Json, nullable=False),
    sa.Column("plan_hash", Text, nullable=False),
    sa.Column("arm_id", Text, sa.ForeignKey("arms.arm_id"), nullable=False),
    sa.Column("control_release_id", Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("treatment_release_id", Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("started_at", Text, nullable=False),
    sa.Column("ended_at", Text),
    sa.Column("reason", Text),
    sa.Column("offline", Json),
    sa.Column("report", Json),
)
"""Experiments with users: the plan as it was frozen, the arm that it runs on, and what it found in the end."""

label_sets = sa.Table(
    "label_sets",
    metadata,
    sa.Column("set_id", Text, primary_key=True),
    sa.Column("name", Text, nullable=False, unique=True),
    sa.Column("created_at", Text, nullable=False),
    sa.Column("max_grade", Integer, nullable=False),
    sa.Column("guideline", Json, nullable=False),
    sa.Column("strategy", Text, nullable=False),
    sa.Column("rankings", Json, nullable=False),
)
"""What people are asked to judge; ``rankings`` are those that were pooled, by system and query."""

label_pairs = sa.Table(
    "label_pairs",
    metadata,
    sa.Column("pair_id", Text, primary_key=True),
    sa.Column("set_id", Text, sa.ForeignKey("label_sets.set_id"), nullable=False, index=True),
    sa.Column("query_id", Text, sa.ForeignKey("queries.query_id"), nullable=False),
    sa.Column("doc_id", Text, sa.ForeignKey("documents.doc_id"), nullable=False, index=True),
    sa.Column("wanted", Integer, nullable=False),
    sa.Column("shuffle", Integer, nullable=False),
    sa.Column("gold_grade", Integer),
    sa.Column("settled_grade", Integer),
    sa.Column("settled_by", Text),
    sa.UniqueConstraint("set_id", "query_id", "doc_id"),
)
"""``wanted`` ratings at most; a pair with a gold grade checks its raters; ``settled`` where raters had disagreed."""

label_ratings = sa.Table(
    "label_ratings",
    metadata,
    sa.Column("pair_id", Text, sa.ForeignKey("label_pairs.pair_id"), primary_key=True),
    sa.Column("rater", Text, primary_key=True),
    sa.Column("set_id", Text, sa.ForeignKey("label_sets.set_id"), nullable=False, index=True),
    sa.Column("state", Text, nullable=False),
    sa.Column("grade", Integer),
    sa.Column("reason", Text, nullable=False),
    sa.Column("at", Text, nullable=False),
    sa.Column("number", Integer, nullable=False),
)
"""What a rater said of a pair, or has on the screen; ``number`` counts what was done in a set."""

llm_answers = sa.Table(
    "llm_answers",
    metadata,
    sa.Column("question_id", Text, primary_key=True),
    sa.Column("model", Text, nullable=False),
    sa.Column("text", Text),
    sa.Column("fault", Text, nullable=False),
    sa.Column("num_read", Integer, nullable=False),
    sa.Column("num_written", Integer, nullable=False),
    sa.Column("at", Text, nullable=False),
    sa.Column("doc_id", Text, nullable=False, index=True),
)
"""What language models answered, by the hash of the question and the model, so that nothing is paid twice."""


cycles = sa.Table(
    "cycles",
    metadata,
    sa.Column("cycle_id", Text, primary_key=True),
    sa.Column("number", Integer, nullable=False, unique=True),
    sa.Column("news", Json, nullable=False),
    sa.Column("live_release_id", Text),
    sa.Column("started_at", Text, nullable=False),
    sa.Column("ended_at", Text),
    sa.Column("verdict", Text),
    sa.Column("reasons", Json),
)
"""Turns of the loop: what there was to learn from, and what came of it; at most one has not ended."""

cycle_stages = sa.Table(
    "cycle_stages",
    metadata,
    sa.Column("cycle_id", Text, sa.ForeignKey("cycles.cycle_id"), primary_key=True),
    sa.Column("stage", Text, primary_key=True),
    sa.Column("input_hash", Text, nullable=False),
    sa.Column("state", Text, nullable=False),
    sa.Column("summary", Text, nullable=False),
    sa.Column("result", Json, nullable=False),
    sa.Column("at", Text, nullable=False),
    sa.Column("took_s", sa.Float, nullable=False),
)
"""What each stage of a turn gave, and the hash of what it was given."""

event_files = sa.Table(
    "event_files",
    metadata,
    sa.Column("name", Text, primary_key=True),
    sa.Column("sha256", Text, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
"""Sealed files of the event log, where machines share this database; see ``store/events/sharing.py``."""

STAGED_TABLES = (documents, queries, pairs, judgments, split_members)
"""What an import fills."""
