"""The tables of a workspace's database."""

import sqlalchemy as sa

metadata = sa.MetaData()

migrations = sa.Table("migrations", metadata, sa.Column("name", sa.Text, primary_key=True))

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("doc_id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("text_hash", sa.Text, nullable=False),
)

queries = sa.Table(
    "queries",
    metadata,
    sa.Column("query_id", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
)

split_members = sa.Table(
    "split_members",
    metadata,
    sa.Column("split", sa.Text, primary_key=True),
    sa.Column("query_id", sa.Text, sa.ForeignKey("queries.query_id"), primary_key=True),
    sa.Column("is_waiting", sa.Boolean, nullable=False, server_default=sa.false()),  # there while few are judged
)

judgments = sa.Table(
    "judgments",
    metadata,
    sa.Column("query_id", sa.Text, sa.ForeignKey("queries.query_id"), primary_key=True),
    sa.Column("doc_id", sa.Text, sa.ForeignKey("documents.doc_id"), primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("rater", sa.Text, primary_key=True),
    sa.Column("grade", sa.Integer, nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("document_hash", sa.Text, nullable=False),
)
"""Who judged what; several may judge one pair. ``core/judging.py`` says what counts then."""

pairs = sa.Table(
    "pairs",
    metadata,
    sa.Column("pair_id", sa.Text, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("positive", sa.Text, nullable=False),
    sa.Column("negatives", sa.JSON, nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("negative_scores", sa.JSON, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("model_id", sa.Text, primary_key=True),
    sa.Column("encoder_id", sa.Text, nullable=False, unique=True),
    sa.Column("parent_model_id", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("encoder", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

rerankers = sa.Table(
    "rerankers",
    metadata,
    sa.Column("reranker_id", sa.Text, primary_key=True),
    sa.Column("cross_encoder_id", sa.Text, nullable=False, unique=True),
    sa.Column("parent_id", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("release_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, sa.ForeignKey("models.model_id"), nullable=False),
    sa.Column("space_id", sa.Text, nullable=False),
    sa.Column("system", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

trainings = sa.Table(
    "trainings",
    metadata,
    sa.Column("training_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, unique=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("part_id", sa.Text, index=True),
    sa.Column("is_improved", sa.Boolean, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
"""How models and rerankers were made; ``part_id`` is the one that stands after it."""

pointers = sa.Table(
    "pointers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("model_id", sa.Text),
    sa.Column("release_id", sa.Text, index=True),
    sa.Column("previous_release_id", sa.Text),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("forced", sa.Text),
    sa.Column("evaluation", sa.JSON(none_as_null=True)),
    sa.Column("suite", sa.JSON(none_as_null=True)),
)
"""What was promoted, refused and rolled back, and what the gate saw."""

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("look_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("split", sa.Text, nullable=False),
    sa.Column("systems", sa.JSON, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
)

probes = sa.Table(
    "probes",
    metadata,
    sa.Column("declaration_id", sa.Text, primary_key=True),
    sa.Column("vectors", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

api_usage = sa.Table(
    "api_usage",
    metadata,
    sa.Column("usage_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("num_requests", sa.Integer, nullable=False),
    sa.Column("num_tokens", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Float),
)

revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("result_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("verb", sa.Text, nullable=False, index=True),
    sa.Column("split", sa.Text),
    sa.Column("model_ids", sa.JSON, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
)
"""What verbs answered, kept for the report; ``model_ids`` are of the systems of an evaluation, in their order."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("per_minute", sa.Integer),
    sa.Column("created_at", sa.Text, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("ended_at", sa.Text),
)

shadows = sa.Table(
    "shadows",
    metadata,
    sa.Column("shadow_id", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("model_id", sa.Text, nullable=False),
    sa.Column("space_id", sa.Text, nullable=False),
    sa.Column("description", sa.JSON, nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("num_offered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("num_dropped", sa.Integer, nullable=False, server_default="0"),
    sa.Column("num_failed", sa.Integer, nullable=False, server_default="0"),
)

shadow_answers = sa.Table(
    "shadow_answers",
    metadata,
    sa.Column("answer_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("shadow_id", sa.Text, sa.ForeignKey("shadows.shadow_id"), nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("live_release_id", sa.Text, nullable=False),
    sa.Column("live", sa.JSON, nullable=False),
    sa.Column("shadow", sa.JSON, nullable=False),
    sa.Column("live_ms", sa.Float, nullable=False),
    sa.Column("shadow_ms", sa.Float, nullable=False),
)
"""What live and a candidate answered to the same query: documents with their scores."""

arms = sa.Table(
    "arms",
    metadata,
    sa.Column("arm_id", sa.Text, primary_key=True),
    sa.Column("release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("live_release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
)
"""Releases that answer a share of the users beside what is live."""

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("plan", sa.JSON, nullable=False),
    sa.Column("plan_hash", sa.Text, nullable=False),
    sa.Column("arm_id", sa.Text, sa.ForeignKey("arms.arm_id"), nullable=False),
    sa.Column("control_release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("treatment_release_id", sa.Text, sa.ForeignKey("releases.release_id"), nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("offline", sa.JSON),
    sa.Column("report", sa.JSON),
)
"""Experiments with users: the plan as it was frozen, the arm that it runs on, and what it found in the end."""

label_sets = sa.Table(
    "label_sets",
    metadata,
    sa.Column("set_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("max_grade", sa.Integer, nullable=False),
    sa.Column("guideline", sa.JSON, nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("rankings", sa.JSON, nullable=False),
)
"""What people are asked to judge; ``rankings`` are those that were pooled, by system and query."""

label_pairs = sa.Table(
    "label_pairs",
    metadata,
    sa.Column("pair_id", sa.Text, primary_key=True),
    sa.Column("set_id", sa.Text, sa.ForeignKey("label_sets.set_id"), nullable=False, index=True),
    sa.Column("query_id", sa.Text, sa.ForeignKey("queries.query_id"), nullable=False),
    sa.Column("doc_id", sa.Text, sa.ForeignKey("documents.doc_id"), nullable=False, index=True),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("shuffle", sa.Integer, nullable=False),
    sa.Column("gold_grade", sa.Integer),
    sa.Column("settled_grade", sa.Integer),
    sa.Column("settled_by", sa.Text),
    sa.UniqueConstraint("set_id", "query_id", "doc_id"),
)
"""``wanted`` ratings at most; a pair with a gold grade checks its raters; ``settled`` where raters had disagreed."""

label_ratings = sa.Table(
    "label_ratings",
    metadata,
    sa.Column("pair_id", sa.Text, sa.ForeignKey("label_pairs.pair_id"), primary_key=True),
    sa.Column("rater", sa.Text, primary_key=True),
    sa.Column("set_id", sa.Text, sa.ForeignKey("label_sets.set_id"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("grade", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
)
"""What a rater said of a pair, or has on the screen; ``number`` counts what was done in a set."""

llm_answers = sa.Table(
    "llm_answers",
    metadata,
    sa.Column("question_id", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("fault", sa.Text, nullable=False),
    sa.Column("num_read", sa.Integer, nullable=False),
    sa.Column("num_written", sa.Integer, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("doc_id", sa.Text, nullable=False, index=True),
)
"""What language models answered, by the hash of the question and the model, so that nothing is paid twice."""


cycles = sa.Table(
    "cycles",
    metadata,
    sa.Column("cycle_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("news", sa.JSON, nullable=False),
    sa.Column("live_release_id", sa.Text),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("verdict", sa.Text),
    sa.Column("reasons", sa.JSON),
)
"""Turns of the loop: what there was to learn from, and what came of it; at most one has not ended."""

cycle_stages = sa.Table(
    "cycle_stages",
    metadata,
    sa.Column("cycle_id", sa.Text, sa.ForeignKey("cycles.cycle_id"), primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("input_hash", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("took_s", sa.Float, nullable=False),
)
"""What each stage of a turn gave, and the hash of what it was given."""
