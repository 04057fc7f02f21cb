"""The sections of the recipe: every choice that has a default, by what it is about."""

import re
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nearer.core.filters import DERIVED

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """A section of the recipe: unknown keys, infinities and nan are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class ApiRecipe(Section):
    """A service that encodes, spoken to as OpenAI's ``/v1/embeddings``; without an ``endpoint`` we encode here.

    ``key_env`` names the environment variable that holds the key: the key itself is never written down. Source of
    the limits of a request (2048 texts, 300,000 tokens): OpenAI's reference of embeddings; ``batch_tokens`` keeps to
    a third of it, since tokens are estimated.
    """

    endpoint: str | None = None
    key_env: str | None = None
    dimensions: int | None = Field(default=None, ge=1, description="asked of the service; none means its own")
    revision: str = Field(default="", description="a label that makes it another encoder")
    batch_texts: int = Field(default=128, ge=1, le=2048, description="texts a request")
    batch_tokens: int = Field(default=100_000, ge=1, description="tokens a request")
    max_parallel: int = Field(default=4, ge=1, le=32, description="requests at once")
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    timeout_s: float = Field(default=60.0, gt=0, description="for the whole answer to a request")
    max_retries: int = Field(default=6, ge=0, le=20)
    price_per_million_tokens: float | None = Field(default=None, ge=0, description="US dollars")

    @field_validator("endpoint")
    @classmethod
    def _base_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            is_plain = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        except ValueError:
            is_plain = False
        if not is_plain:
            raise ValueError("must be an address such as https://api.openai.com/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment: the key goes into key_env's variable")
        if parts.path.rstrip("/").endswith("/embeddings"):
            raise ValueError("must be the part before /embeddings, such as https://api.openai.com/v1")
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

    @field_validator("key_env")
    @classmethod
    def _name_of_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, never a key")
        return value

    @model_validator(mode="after")
    def _asked_of_someone(self) -> "ApiRecipe":
        fields = type(self).model_fields
        unused = [name for name, field in fields.items() if getattr(self, name) != field.default]
        if self.endpoint is None and unused:
            raise ValueError(f"{', '.join(unused)} set without an endpoint, such as https://api.openai.com/v1")
        return self


class EncoderRecipe(Section):
    """What turns text into vectors.

    ``model`` is "all-MiniLM-L6-v2" (installed with Nearer, offline), a folder, or a Hub name; with an
    ``api.endpoint`` it is the service's name of a model. Prompts are put before each query or document, in training
    and in search alike; none means those that the model declares.
    """

    model: str = Field(default="all-MiniLM-L6-v2", min_length=1)
    max_seq_length: int | None = Field(default=None, ge=8, description="tokens; none means the model's own")
    query_prompt: str | None = None
    document_prompt: str | None = None
    batch_size: int = Field(default=32, ge=1, le=65_536)
    api: ApiRecipe = ApiRecipe()

    @property
    def name(self) -> str:
        """What its system is called where it is not the base: its model, a service's as ``api:MODEL``."""
        if self.api.endpoint is None:
            return self.model
        return f"api:{self.model}" + (f"@{self.api.dimensions}" if self.api.dimensions else "")


class ChunkRecipe(Section):
    """How long documents become passages. Lengths are tokens of the encoder."""

    enabled: bool = True
    max_tokens: int | None = Field(default=None, ge=16, description="none means the encoder's max_seq_length")
    overlap_tokens: int | None = Field(default=None, ge=0, description="none means a quarter of a passage, 32 at most")
    repeat_title: bool = Field(default=False, description="in every passage of a document that is cut")


ColumnName = Annotated[str, Field(min_length=1)]
ColumnNames = ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=1)]
MetadataTypes = dict[str, Literal["text", "number", "boolean"]]


class DocumentColumns(Section):
    """Where a document's fields are in imported files; none of a field means: under its own name.

    Several columns of text are joined by a line break. ``metadata`` names the columns kept beside the text, with
    their types; none means every other column of a CSV, TSV or Parquet file.
    """

    doc_id: ColumnName | None = None
    title: ColumnName | None = None
    text: ColumnNames | None = None
    metadata: MetadataTypes | None = None
    ignore: tuple[ColumnName, ...] = Field(default=(), description="columns to leave out")


class QueryColumns(Section):
    """Where a query's fields are in imported files."""

    query_id: ColumnName | None = None
    text: ColumnNames | None = None
    metadata: MetadataTypes | None = None
    ignore: tuple[ColumnName, ...] = ()


class JudgmentColumns(Section):
    """Where a judgment's fields are in imported files."""

    query_id: ColumnName | None = None
    doc_id: ColumnName | None = None
    grade: ColumnName | None = None
    ignore: tuple[ColumnName, ...] = ()


class PairColumns(Section):
    """Where a training pair's fields are in imported files; several columns of negatives make a list."""

    query: ColumnName | None = None
    positive: ColumnName | None = None
    negatives: ColumnNames | None = None
    score: ColumnName | None = None
    negative_scores: ColumnNames | None = None
    source: ColumnName | None = None
    ignore: tuple[ColumnName, ...] = ()


class ColumnsRecipe(Section):
    """What the columns of a team's own files are called."""

    documents: DocumentColumns = DocumentColumns()
    queries: QueryColumns = QueryColumns()
    judgments: JudgmentColumns = JudgmentColumns()
    pairs: PairColumns = PairColumns()


class GradesRecipe(Section):
    """What grades mean; none of a field means: from the judgments' largest grade."""

    max_grade: int | None = Field(default=None, ge=1)
    relevant_from: int | None = Field(default=None, ge=1)
    positive_from: int | None = Field(default=None, ge=1)


HeldOutName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")]
Condition = Annotated[str, Field(min_length=1)]
Conditions = Condition | Annotated[tuple[Condition, ...], Field(min_length=1)]


class SplitRecipe(Section):
    """How queries without a named split are divided into train, dev and test.

    ``by = "group"`` keeps the queries that share the metadata ``field`` on one side: the groups listed, else a
    fraction of groups. ``by = "time"`` sends queries whose ``field`` is at or after ``dev_from`` / ``test_from`` there.
    ``held_out`` sends the queries that meet a condition, or several, into the split ``test_NAME``, whatever ``by``.
    """

    by: Literal["query", "group", "time"] = "query"
    field: str | None = None
    dev_fraction: float = Field(default=0.1, ge=0, lt=1)
    test_fraction: float = Field(default=0.2, ge=0, lt=1)
    dev_groups: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()
    dev_from: str | int | None = None
    test_from: str | int | None = None
    held_out: dict[HeldOutName, Conditions] = Field(default_factory=dict)
    seed: Seed = 0

    @field_validator("dev_from", "test_from", mode="before")
    @classmethod
    def _date_as_text(cls, value: object) -> object:
        """A TOML date may be written without quotes; it is compared as ISO 8601 text."""
        return value.isoformat() if isinstance(value, date) else value

    @model_validator(mode="after")
    def _consistent(self) -> "SplitRecipe":
        if self.by != "query" and not self.field:
            raise ValueError(f'by = "{self.by}" needs field = "<a metadata field of the queries>"')
        if self.by == "time" and (self.dev_from is None or self.test_from is None):
            raise ValueError('by = "time" needs dev_from and test_from')
        if isinstance(self.dev_from, int) and isinstance(self.test_from, int) and self.dev_from > self.test_from:
            raise ValueError("dev_from must not be later than test_from")
        if self.dev_fraction + self.test_fraction >= 1:
            raise ValueError("dev_fraction + test_fraction leave nothing to train on")
        return self


SourceWeights = dict[str, Annotated[float, Field(ge=0, le=1000)]]
LossName = Literal["ranking", "triplet", "cosine", "cosent", "margin_mse", "kl"]
Rate = Annotated[float, Field(ge=0, lt=1)]
Dimension = Annotated[int, Field(ge=1)]


class TrainRecipe(Section):
    """How a candidate is trained. Source of the defaults: docs/results.md, tuned on dev splits.

    Those of LoRA: alpha is the rank (Hu et al., arXiv 2106.09685, section 4.1, and peft's 8 for 8); dropout is peft's.
    """

    epochs: float = Field(default=1.0, gt=0, le=10_000, description="epochs of each pass")
    passes: int = Field(default=2, ge=1, le=4, description="from the second on, with mined hard negatives")
    batch_size: int = Field(default=32, ge=1, le=65_536)
    learning_rate: float = Field(default=6e-5, gt=0)
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_seq_length: int | None = Field(default=None, ge=8, description="tokens; none means the encoder's")
    max_pairs: int | None = Field(default=None, ge=1)
    max_positives: int = Field(default=4, ge=1, description="pairs made of one query at most")
    source_field: str = Field(default="source", description="of a query's metadata; a text pair says its own")
    source_weights: SourceWeights = Field(default_factory=dict, description="times an epoch; 1 unless named, 0 never")
    batches: Literal["mixed", "single"] = Field(default="mixed", description="single: each of one source")
    loss: LossName | None = Field(default=None, description="none means by the data's shape")
    graded: bool = Field(default=True, description="several grades are learned from as such, not as relevant or not")
    scale: float = Field(default=20.0, gt=0, description="inverse temperature of the loss")
    triplet_margin: float = Field(default=0.3, gt=0, le=2, description="in cosine distance")
    cached: bool = Field(default=False, description="GradCache: large batches in the memory of a small one, slower")
    dimensions: tuple[Dimension, ...] = Field(
        default=(), description="Matryoshka: that vectors may be cut to; with the full"
    )
    turn: bool = Field(default=True, description="with dimensions: start with vectors turned onto the pairs' axes")
    linear_epochs: int | None = Field(
        default=None, ge=0, description="of a linear map before the base's weights learn; none: where a budget is short"
    )
    dropout: Rate | Literal["model"] = Field(default=0.0, description='while training; "model" means its own')
    freeze_layers: int = Field(default=0, ge=0, description="lowest layers that are left as they are")
    pull: float = Field(default=0.0, ge=0, description="weight of the squared distance from where training began")
    freeze_embeddings: bool = Field(default=False, description="train the layers, not the word vectors")
    sides: Literal["both", "query"] = Field(default="both", description="query: documents keep their vectors")
    lora_rank: int = Field(default=0, ge=0, description="of the adapters that are trained instead of the weights")
    lora_alpha: int | None = Field(default=None, ge=1, description="adapters are scaled by alpha / rank; none: by 1")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="of what the adapters read")
    guide: str | None = Field(default=None, description="model that says which texts of a batch are no negatives")
    guide_margin: float = Field(default=0.0, ge=0, lt=1, description="share of the positive's cosine that is forgiven")
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    evals_per_pass: int = Field(default=4, ge=1)
    patience: int = Field(default=3, ge=1, description="stop after so many dev measurements without a new best")
    checkpoint_steps: int | None = Field(default=None, ge=1, description="none means only at dev measurements")
    max_dev_queries: int = Field(default=300, ge=1)
    num_dev_distractors: int = Field(default=1000, ge=0)
    seed: Seed = 0

    @property
    def is_distilled(self) -> bool:
        """Whether the loss learns from a teacher's scores, and so from mined negatives in every pass."""
        return self.loss in ("margin_mse", "kl")

    def mines_before(self, number: int) -> bool:
        """Whether negatives are mined before a pass: pass 1 does without, unless a teacher looks at them."""
        return number > 1 or self.is_distilled


class AdapterRecipe(Section):
    """How an adapter is trained, and with its rate, pull and batches the linear map that training may begin with.

    ``train.seed``, ``max_positives``, ``max_dev_queries`` and ``mining`` but for ``max_false`` hold here too.

    Source of the defaults: the learning rate is Adam's own (Kingma and Ba, arXiv 1412.6980, algorithm 1); the scale is
    ``train``'s. The others are not tuned: dev, with step 0 a candidate, ends what does harm.
    """

    kind: Literal["linear", "low_rank", "mlp"] = "linear"
    width: int = Field(default=64, ge=1, le=65_536, description="rank of a low-rank map, inner width of an mlp")
    learning_rate: float = Field(default=1e-3, gt=0)
    pull: float = Field(default=1e-3, ge=0, description="weight of the squared distance from changing nothing")
    scale: float = Field(default=20.0, gt=0, description="inverse temperature of the loss")
    batch_size: int = Field(default=128, ge=1, le=65_536)
    num_negatives: int = Field(default=1, ge=0, description="hard negatives drawn anew for each pair and epoch")
    max_epochs: int = Field(default=30, ge=1, le=10_000)
    patience: int = Field(default=4, ge=1, description="epochs without a new best on dev before it ends")


class RerankerRecipe(Section):
    """How a cross-encoder is trained.

    ``train.max_pairs``, ``max_positives``, ``precision`` and ``checkpoint_steps``, ``mining.margins``,
    ``min_share`` and ``max_false``, and ``search.rerank.depth`` hold here too; of ``train.source_weights`` those of 0.

    Source of 8 texts a list: Gao et al., Rethink Training of BERT Rerankers (arXiv 2101.08751), section 4; of the
    warm-up: sentence-transformers' own example for MS MARCO. The others are not tuned: dev ends what does harm.
    """

    epochs: float = Field(default=2.0, gt=0, le=10_000)
    batch_size: int = Field(default=8, ge=1, le=65_536, description="lists a step")
    learning_rate: float = Field(default=5e-5, gt=0)
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    num_negatives: int = Field(default=7, ge=1, description="in the list of each positive, of what the retriever finds")
    max_seq_length: int | None = Field(default=None, ge=16, description="tokens; none means all that the model reads")
    evals: int = Field(default=6, ge=1, description="dev measurements, beside that of the start")
    patience: int = Field(default=3, ge=1, description="measurements without a new best before it ends")
    max_dev_queries: int = Field(default=200, ge=1)
    seed: Seed = 0


class AlarmsRecipe(Section):
    """What is watched while a model trains, and from where on it is an alarm. Sources: ``measure/alarms.py``."""

    num_train_queries: int = Field(default=100, ge=0, description="measured beside dev, at most as many as dev has")
    max_gap_growth: float = Field(default=0.2, ge=0, le=2)
    max_dev_fall: float = Field(default=0.03, ge=0, le=1)
    max_repeated_pairs: float = Field(default=0.15, ge=0, le=1, description="share of the training pairs")
    familiar_from: float = Field(default=0.5, gt=0, le=1, description="resemblance to a training query")
    max_familiar_gain: float = Field(default=0.5, ge=0, description="share of the gain that other queries lack")
    max_mean_cosine: float = Field(default=0.95, ge=-1, le=1)
    max_spread_lost: float = Field(default=0.5, ge=0, le=1)
    max_rank_unused: float = Field(default=0.95, ge=0, le=1)
    max_rank_lost: float = Field(default=0.5, ge=0, le=1)


MarginKind = Literal["relative", "absolute"]
MiningSource = Literal["dense", "bm25"]


class MiningRecipe(Section):
    """How hard negatives are chosen.

    ``sources`` propose candidates: the model of the moment, and BM25. One is kept while its score is below the
    positive's times (1 - margin), or below it by more than an absolute margin. ``margins`` are tried from the
    strictest; the first that leaves ``num_negatives`` to ``min_share`` of the pairs is used and reported. Where the
    interval of how many are false lies above ``max_false``, nothing of what was mined is used. Our rule: on dev of
    banking77, judged by intents, negatives estimated at 99.5% false took a model from 0.890 to 0.870.

    With a ``reranker`` twice as many are drawn, and those that it takes for answers are put aside: the probability that
    a candidate is preferred to the positive is the sigmoid of the difference of their scores, which needs no scale.
    Source: RankNet (Burges et al. 2005), section 3, for the probability; RocketQA (arXiv 2010.08191), section 4.2, for
    negatives denoised by a cross-encoder, and for 0.9. From 0.5 on a candidate is as relevant as the positive.
    """

    sources: tuple[MiningSource, ...] = Field(default=("dense",), min_length=1)
    top_k: int = Field(default=10, ge=1, description="of each source")
    num_negatives: int = Field(default=1, ge=1)
    margin_kind: MarginKind = "relative"
    margins: tuple[float, ...] = (0.05, 0.02, 0.0, -1.0)
    min_share: float = Field(default=0.8, gt=0, le=1)
    max_false: float = Field(default=0.5, ge=0, le=1, description="share of false negatives above which none are used")
    reranker: str | None = Field(default=None, min_length=1, description="an id, a folder, or a Hub name")
    spared_from: float = Field(default=0.5, gt=0, lt=1, description="probability from which it is no negative")
    positive_from: float = Field(default=0.9, gt=0, lt=1, description="probability from which it is a positive")

    @field_validator("sources")
    @classmethod
    def _propose_something(cls, value: tuple[MiningSource, ...]) -> tuple[MiningSource, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a source twice")
        return value

    @property
    def num_drawn(self) -> int:
        """How many negatives are drawn for a pair, before a reranker puts some aside."""
        return self.num_negatives * (2 if self.reranker else 1)

    @model_validator(mode="after")
    def _in_order(self) -> "MiningRecipe":
        if self.positive_from < self.spared_from:
            raise ValueError("positive_from must not be less than spared_from")
        return self


class EvaluateRecipe(Section):
    """What is measured, and how sure we are of it."""

    measures: tuple[str, ...] = (
        "nDCG@10",
        "Recall@1",
        "Recall@10",
        "Recall@50",
        "Precision@10",
        "MRR@10",
        "MAP",
        "Judged@10",
        "ContextRecall@2000",
        "ContextPrecision@2000",
    )
    depth: int = Field(default=100, ge=1, le=100_000, description="documents ranked a query; MAP is cut there")
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    num_resamples: int = Field(default=5000, ge=100, le=1_000_000)
    group_field: str | None = Field(default=None, description="resample whole groups of this query field")
    slice_fields: tuple[str, ...] = Field(default=(), description='of queries, or "document.FIELD" of relevant ones')
    time_field: str | None = Field(default=None, min_length=1, description="years or ISO dates, named likewise")
    frequency_field: str | None = Field(default=None, min_length=1, description="how often a query is asked")
    min_slice_queries: int = Field(default=10, ge=1, description="smaller slices are counted, and not measured")
    wanted_precision: float = Field(default=0.02, gt=0, lt=1, description="half the width of an interval")
    seed: Seed = 0


class GateRecipe(Section):
    """What a candidate must show before it goes live."""

    measure: str = "nDCG@10"
    min_gain: float = Field(default=0.0, description="the lower end of the difference's interval must exceed this")
    min_slice_queries: int = Field(default=50, ge=2)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    suite: str | None = Field(default=None, description="the file of cases that must keep working")

    @field_validator("suite")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value and "\0" in value:
            raise ValueError("must be the path of a file")
        return value


class IndexRecipe(Section):
    """Which index answers queries.

    "auto" compares every passage while there are at most ``exact_up_to``, and is LanceDB above. A release is refused
    while the recall measured against exact search is below ``min_recall``. ``precision`` is that of an exact index's
    vectors. Source of the defaults: docs/adr/0005.
    """

    kind: Literal["auto", "exact", "lancedb"] = "auto"
    exact_up_to: int = Field(default=50_000, ge=0, description="passages; above, LanceDB uses a vector index")
    min_recall: float = Field(default=0.98, ge=0, le=1, description="of the 10 best of exact search, as a mean")
    num_recall_queries: int = Field(default=200, ge=1)
    precision: Literal["float32", "float16", "int8", "binary"] = "float32"
    filter_fields: tuple[str, ...] = ()
    full_text: bool = Field(default=True, description="LanceDB keeps the texts, to search their words")


class ShortenRecipe(Section):
    """Which shorter and smaller vectors `nearer shorten` measures, and what they may lose.

    Source of 4: Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024, Hugging Face blog), which keeps
    96% of the quality by it; of 0.01: docs/recipe.md.
    """

    dimensions: tuple[Dimension, ...] = Field(default=(64, 128, 256), description="beside the full")
    precisions: tuple[Literal["float32", "float16", "int8", "binary"], ...] = ("float32", "float16", "int8", "binary")
    rescore: int = Field(default=4, ge=1, le=1000, description="documents that bits find for each that is wanted")
    max_loss: float = Field(default=0.01, ge=0, lt=1, description="share of the full vectors' quality")
    num_timed_queries: int = Field(default=20, ge=1, description="searched one at a time")


class BoostRecipe(Section):
    """What a field of a document adds to its score: from 0 at ``low`` to ``weight`` at ``high``.

    The ends are numbers, or dates as ISO 8601 text.
    """

    weight: float = Field(gt=0, le=10)
    low: float | str
    high: float | str


class RerankRecipe(Section):
    """The cross-encoder that reads a query together with each of the ``depth`` best documents."""

    model: str | None = Field(default=None, description="the id of one trained here, a folder, or a Hub name")
    depth: int = Field(default=20, ge=2, le=1000)
    keep: int = Field(default=5, ge=1, description="results of a search that asks for no number")
    max_seq_length: int | None = Field(default=None, ge=16, description="tokens; none means the model's own")


class SearchRecipe(Section):
    """What the stages do that a system's name adds, as in ``base+filter+hybrid``.

    ``query_time_fields`` are the fields of a query that are known when it is asked; only these may filter. A rule is
    ``document field, comparison, value``, where ``query.FIELD`` stands for the query's own value.
    """

    query_time_fields: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    boosts: dict[str, BoostRecipe] = {}
    dense_weight: float = Field(default=0.5, ge=0, le=1, description="of vectors in +hybrid; words have the rest")
    depth: int = Field(default=100, ge=1, le=10_000, description="documents that each ranking hands to the next stage")
    rerank: RerankRecipe = RerankRecipe()

    @field_validator("query_time_fields")
    @classmethod
    def _known_when_asked(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        labels = [name for name in value if name.startswith(DERIVED)]
        if labels:
            raise ValueError(f"{labels[0]} was derived from the right answer, so no filter may use it")
        return value


class DiagnosisRecipe(Section):
    """When a cause of a failed query counts as shown.

    Source of 20: what `nearer advise` gives a reranker; of 100: the depth of Recall@100 in BEIR (arXiv 2104.08663,
    section 4). The others are our rules.
    """

    order_within: int = Field(default=20, ge=2, description="rank that a reranker sees")
    recall_within: int = Field(default=100, ge=2, le=1000, description="rank down to which a document counts as found")
    same_cosine: float = Field(default=0.95, gt=0, le=1, description="texts this near are one, if random ones are not")
    rule_share: float = Field(default=0.95, gt=0.5, le=1, description="of relevant documents that must obey a rule")
    num_examples: int = Field(default=3, ge=0, description="queries shown of each cause")

    @model_validator(mode="after")
    def _in_order(self) -> "DiagnosisRecipe":
        if self.order_within > self.recall_within:
            raise ValueError("order_within must not be more than recall_within")
        return self


class TasksRecipe(Section):
    """How the other tasks than search are measured: duplicates, clusters, classes, items alike."""

    num_neighbours: int = Field(default=5, ge=1, description="that vote on the class of an item")
    max_items: int = Field(default=2000, ge=10, description="items of a split, drawn at random beyond that")
    num_clusterings: int = Field(default=5, ge=1, description="of other seeds, whose values are averaged")
    seed: int = Field(default=0, ge=0)


class AdviseRecipe(Section):
    """How the remedies are measured, and the rules of the verdict, whose sources are in docs/recipe.md.

    The learning curve trains on up to ``curve_pairs`` pairs, and on shares of them, for some minutes on two cores.
    """

    num_folds: int = Field(default=5, ge=2, le=20)
    max_queries: int = Field(default=2000, ge=10, description="of train and dev, drawn at random beyond that")
    rerank_queries: int = Field(default=100, ge=10, description="that a reranker is measured on")
    encoders: tuple[EncoderRecipe, ...] = Field(default=(), description="to set beside the base")
    chunks: tuple[ChunkRecipe, ...] = Field(default=(), description="other ways to cut documents")
    target: float | None = Field(default=None, gt=0, le=1, description="the nDCG@10 that is wanted")
    tolerance: float = Field(default=0.01, ge=0, le=1, description="of nDCG@10, within which remedies are as good")
    min_pairs: int = Field(default=1000, ge=0, description="fewer are little to learn from")
    broken_base: float = Field(default=0.15, ge=0, le=1, description="a base below it mostly meets faulty data")
    saturated_base: float = Field(default=0.95, ge=0, le=1, description="above it nothing is left to gain")
    data_share: float = Field(default=0.1, gt=0, le=1, description="of queries that fail for their data")
    cheapest_first: tuple[str, ...] = ("filter", "hybrid", "rerank", "adapter", "change_encoder", "fine_tune")
    seed: Seed = 0
    curve_pairs: int = Field(default=600, ge=2, description="of the largest training of the learning curve")
    curve_trainings: int = Field(default=1, ge=1, le=20, description="of each size, from other seeds")
    curve_passages: int = Field(
        default=2000, ge=1, description="that dev queries rank; those of relevant documents stay"
    )

    @field_validator("encoders", mode="before")
    @classmethod
    def _named_alone(cls, value: object) -> object:
        """A folder or Hub name may stand for the table that holds nothing else."""
        return (
            [{"model": each} if isinstance(each, str) else each for each in value]
            if isinstance(value, list | tuple)
            else value
        )

    @field_validator("encoders")
    @classmethod
    def _told_apart(cls, value: tuple[EncoderRecipe, ...]) -> tuple[EncoderRecipe, ...]:
        names = [each.name for each in value]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{repeated[0]} is there more than once")
        return value


class CostRecipe(Section):
    """Prices; what has none is not priced."""

    machine_usd_per_hour: float | None = Field(default=None, ge=0, description="of the machine that encodes")
    api_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    tokens_per_document: float | None = Field(default=None, gt=0, description="none means those of the sample")
    storage_usd_per_gb_month: float | None = Field(default=None, ge=0)
    gpu_usd_per_hour: float | None = Field(default=None, ge=0, description="of the machine that trains")
    finetune_usd_per_run: float | None = Field(default=None, ge=0, description="of a service that fine-tunes")
    llm_usd_per_million_tokens: float | None = Field(default=None, ge=0, description="of a model that writes queries")
    judgment_usd: tuple[float, float] = Field(default=(0.5, 2.0), description="of a person's judgment, from and to")
