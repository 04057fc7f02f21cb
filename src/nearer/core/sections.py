"""The sections of the recipe: every choice that has a default, by what it is about."""

import re
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nearer.core.analysis import ENGLISH, LANGUAGES
from nearer.core.filters import DERIVED

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Section(BaseModel):
    """A section of the recipe: unknown keys, infinities and nan are refused, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True, defer_build=True
    )


class ApiRecipe(Section):
    """A service that encodes, spoken to as OpenAI's ``/v1/embeddings``; without an ``endpoint`` we encode here.

    ``key_env`` names the environment variable that holds the key: the key itself is never written down. Source of
    the limits of a request (2048 texts, 300,000 tokens): OpenAI's reference of embeddings; ``batch_tokens`` keeps to
    a third of it, since tokens are estimated.
    """

    endpoint: str | None = Field(
        default=None,
        description=("a service that speaks OpenAI's `/v1/embeddings`, as `https://api.openai.com/v1`; none: run here"),
    )
    key_env: str | None = Field(
        default=None, description="name of the environment variable that holds the key; none: no key is sent"
    )
    dimensions: int | None = Field(
        default=None, ge=1, description="asked of the service, for models that can shorten; none: the model's own"
    )
    revision: str = Field(default="", description="a label of your own; a new one makes a new encoder, embedded anew")
    batch_texts: int = Field(
        default=128, ge=1, le=2048, description="texts a request, and kept at once; OpenAI's limit is 2048"
    )
    batch_tokens: int = Field(
        default=100_000, ge=1, description="estimated tokens a request; OpenAI's limit is 300,000"
    )
    max_parallel: int = Field(default=4, ge=1, le=32, description="requests at once")
    timeout_s: float = Field(default=60.0, gt=0, description="how long the service may be silent")
    max_retries: int = Field(
        default=8,
        ge=0,
        le=20,
        description=(
            "after 408, 409, 429, 5xx, timeouts and lost connections: 0.5, 1, 2, 4 and then 8 s apart, or what the "
            "service asks for up to two minutes"
        ),
    )
    price_per_million_tokens: float | None = Field(
        default=None, ge=0, description="US dollars; none: the cost is unknown"
    )

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

    model: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description=(
            "the base model: this one comes installed; or a folder, a Hub name, or the name that the API knows"
        ),
    )
    max_seq_length: int | None = Field(
        default=None,
        ge=8,
        description=("tokens read of each text; none: the model's own limit, 512 (estimated) behind an API"),
    )
    query_prompt: str | None = Field(
        default=None, description="put before every query; none: what the model declares, else nothing"
    )
    document_prompt: str | None = Field(
        default=None, description="put before every passage; none: what the model declares, else nothing"
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="texts encoded at once, on this machine")
    api: ApiRecipe = ApiRecipe()

    @property
    def name(self) -> str:
        """What its system is called where it is not the base: its model, a service's as ``api:MODEL``."""
        if self.api.endpoint is None:
            return self.model
        return f"api:{self.model}" + (f"@{self.api.dimensions}" if self.api.dimensions else "")


class ChunkRecipe(Section):
    """How long documents become passages. Lengths are tokens of the encoder."""

    enabled: bool = Field(
        default=True, description="cut long documents into passages; `false` truncates them, and says how many"
    )
    max_tokens: int | None = Field(default=None, ge=16, description="longest passage; none: all that the encoder reads")
    overlap_tokens: int | None = Field(
        default=None,
        ge=0,
        description=("how much a passage may repeat of the one before; none: a quarter of it, 32 at most"),
    )
    repeat_title: bool = Field(
        default=False,
        description=("begin every passage of a document that is cut with the title, unless that takes half of it"),
    )


ColumnName = Annotated[str, Field(min_length=1)]
ColumnNames = ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=1)]
MetadataTypes = dict[str, Literal["text", "number", "boolean", "date"]]


class DocumentColumns(Section):
    """Where a document's fields are in imported files; none of a field means: under its own name.

    Several columns of text are joined by a line break. ``metadata`` names the columns kept beside the text, with
    their types; none means every other column of a CSV, TSV or Parquet file.
    """

    doc_id: ColumnName | None = Field(
        default=None, description="the column that holds the id; none: its own name, here and below"
    )
    title: ColumnName | None = Field(default=None, description="the title's column")
    text: ColumnNames | None = Field(default=None, description="the text's column, or several, joined by a line break")
    metadata: MetadataTypes | None = Field(
        default=None,
        description=(
            'columns kept beside the text, with their types: `{ year = "number", brand = "text", sold = '
            '"boolean" }`; none: all others of a file with a header'
        ),
    )
    ignore: tuple[ColumnName, ...] = Field(default=(), description="columns to leave out")

    @property
    def texts(self) -> frozenset[str]:
        """The metadata that is text, whatever it looks like."""
        return frozenset(name for name, kind in (self.metadata or {}).items() if kind == "text")


class QueryColumns(Section):
    """Where a query's fields are in imported files."""

    query_id: ColumnName | None = Field(default=None, description="the id's column")
    text: ColumnNames | None = Field(default=None, description="the text's column, or several")
    metadata: MetadataTypes | None = Field(default=None, description="as for documents")
    ignore: tuple[ColumnName, ...] = Field(default=(), description="columns to leave out")

    @property
    def texts(self) -> frozenset[str]:
        """The metadata that is text, whatever it looks like."""
        return frozenset(name for name, kind in (self.metadata or {}).items() if kind == "text")


class JudgmentColumns(Section):
    """Where a judgment's fields are in imported files."""

    query_id: ColumnName | None = Field(default=None, description="the column of the query's id")
    doc_id: ColumnName | None = Field(default=None, description="the column of the document's id")
    grade: ColumnName | None = Field(default=None, description="the grade's column")
    ignore: tuple[ColumnName, ...] = Field(default=(), description="columns to leave out")


class PairColumns(Section):
    """Where a training pair's fields are in imported files; several columns of negatives make a list."""

    query: ColumnName | None = Field(default=None, description="the query's column")
    positive: ColumnName | None = Field(default=None, description="the positive's column")
    negatives: ColumnNames | None = Field(default=None, description="the negatives' column, or several")
    score: ColumnName | None = Field(default=None, description="the pair's score's column")
    negative_scores: ColumnNames | None = Field(
        default=None, description="the column of the negatives' scores, or as many as negatives"
    )
    source: ColumnName | None = Field(default=None, description="the column that says where a pair came from")
    ignore: tuple[ColumnName, ...] = Field(default=(), description="columns to leave out")


class ColumnsRecipe(Section):
    """What the columns of a team's own files are called."""

    documents: DocumentColumns = DocumentColumns()
    queries: QueryColumns = QueryColumns()
    judgments: JudgmentColumns = JudgmentColumns()
    pairs: PairColumns = PairColumns()


class GradesRecipe(Section):
    """What grades mean; none of a field means: from the judgments' largest grade."""

    max_grade: int | None = Field(default=None, ge=1, description="largest grade; none: the judgments' own, 4 at most")
    relevant_from: int | None = Field(
        default=None, ge=1, description="counts as relevant from here; none: half of the largest, rounded up"
    )
    positive_from: int | None = Field(
        default=None,
        ge=1,
        description=("is a training positive from here; none: three quarters of the largest, rounded up"),
    )


HeldOutName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")]
Condition = Annotated[str, Field(min_length=1)]
Conditions = Condition | Annotated[tuple[Condition, ...], Field(min_length=1)]


class SplitRecipe(Section):
    """How queries without a named split are divided into train, dev and test.

    ``by = "group"`` keeps the queries that share the metadata ``field`` on one side: the groups listed, else a
    fraction of groups. ``by = "time"`` sends queries whose ``field`` is at or after ``dev_from`` / ``test_from`` there.
    ``held_out`` sends the queries that meet a condition, or several, into the split ``test_NAME``, whatever ``by``.
    """

    by: Literal["query", "group", "time"] = Field(default="query", description='`"query"`, `"group"` or `"time"`')
    field: str | None = Field(default=None, description="the query field that holds the group or the time")
    dev_fraction: float = Field(default=0.1, ge=0, lt=1, description="share of queries, or of groups, for dev")
    test_fraction: float = Field(default=0.2, ge=0, lt=1, description="share for test")
    dev_groups: tuple[str, ...] = Field(default=(), description="groups for dev by name, instead of a share")
    test_groups: tuple[str, ...] = Field(default=(), description="groups for test by name")
    dev_from: str | int | None = Field(default=None, description='first time of dev, for `by = "time"`')
    test_from: str | int | None = Field(default=None, description="first time of test")
    held_out: dict[HeldOutName, Conditions] = Field(
        default_factory=dict,
        description=(
            'slices kept whole out of training: `{ unseen_period = "year>=2024", unseen_domain = "topic=tax" '
            "}` makes the splits `test_unseen_period` and `test_unseen_domain`; of a list of conditions all "
            "must hold"
        ),
    )
    seed: Seed = Field(default=0, description="of the hash that draws sides")

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
LossName = Literal["mnrl", "triplet", "cosine", "cosent", "margin_mse", "kl"]
Rate = Annotated[float, Field(ge=0, lt=1)]
Dimension = Annotated[int, Field(ge=1)]


class TrainRecipe(Section):
    """How a candidate is trained. Source of the defaults: docs/results.md, tuned on dev splits.

    That of LoRA: alpha is the rank (Hu et al., arXiv 2106.09685, section 4.1, and peft's 8 for 8).
    """

    epochs: float = Field(default=1.0, gt=0, le=10_000, description="epochs of each pass")
    passes: int = Field(
        default=2, ge=1, le=4, description="the first with in-batch negatives, the others with mined ones"
    )
    batch_size: int = Field(
        default=32, ge=1, le=65_536, description="pairs a step; every other pair's documents are negatives"
    )
    learning_rate: float = Field(
        default=6e-5, gt=0, description="peak, after a linear warm-up and before a linear decay"
    )
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1, description="share of the steps spent warming up")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's")
    max_seq_length: int | None = Field(default=None, ge=8, description="tokens in training; none: the encoder's")
    max_pairs: int | None = Field(default=None, ge=1, description="pairs used, drawn at random")
    max_positives: int = Field(default=4, ge=1, description="pairs made of one query at most")
    source_field: str = Field(
        default="source",
        description=(
            "metadata of the training queries that says where their judgments came from; a text pair says its own"
        ),
    )
    source_weights: SourceWeights = Field(
        default_factory=dict,
        description=(
            "how often an epoch has the pairs of a source: `{ clicks = 0.5, human = 3 }`; one that is not "
            "named weighs 1, 0 leaves it out, `unnamed` are those without a source"
        ),
    )
    batches: Literal["mixed", "single"] = Field(
        default="mixed",
        description=('`"single"`: every batch is of one source, so that negatives in the batch are of its kind'),
    )
    loss: LossName | None = Field(
        default=None,
        description=("`mnrl`, `triplet`, `cosine`, `cosent`, `margin_mse` or `kl`; none means by the data's shape"),
    )
    graded: bool = Field(
        default=True,
        description=(
            "judgments of several grades are learned from as such: higher above lower, instead of relevant or not"
        ),
    )
    scale: float = Field(default=20.0, gt=0, description="inverse temperature of the loss")
    grad_cache: bool = Field(
        default=False,
        description=("GradCache: a large batch in the memory of a small one, at the price of encoding it twice"),
    )
    matryoshka_dims: tuple[Dimension, ...] = Field(
        default=(),
        description=(
            "Matryoshka: lengths that vectors may be cut to, for example `[64, 128]`; the full one is learned with them"
        ),
    )
    rotate: bool = Field(
        default=True,
        description=(
            "with `train.matryoshka_dims`, start with vectors rotated onto the axes of the pairs, so that the first "
            "say the most"
        ),
    )
    warm_start_epochs: int | None = Field(
        default=None,
        ge=0,
        description=(
            "of a linear map behind the base, learned on its vectors before the weights learn, and kept where "
            "dev proves it better and it closes a quarter of the gap between dev and 1; pass 1 then has mined "
            "negatives too; none: 5 where `--budget` has no time for all passes, else 0"
        ),
    )
    dropout: Rate | Literal["model"] = Field(default=0.0, description='while training; `"model"` means its own')
    freeze_layers: int = Field(
        default=0,
        ge=0,
        description=(
            "lowest layers, with all weights that they use, that stay as they are; what they make of each "
            "text is kept, so later epochs and passes begin above them"
        ),
    )
    l2_sp: float = Field(
        default=0.0,
        ge=0,
        description=(
            "weight of the squared distance of all weights from those that training began with, in every pass"
        ),
    )
    freeze_embeddings: bool = Field(
        default=False, description="leave the word vectors as they are: faster, and safer with few pairs"
    )
    sides: Literal["both", "query"] = Field(
        default="both",
        description=(
            'or `"query"`: only queries go through the weights that are trained; documents keep their vectors '
            "and their index"
        ),
    )
    lora_rank: int = Field(
        default=0,
        ge=0,
        description=(
            "of the adapters of all linear layers that are trained instead of the weights, then merged into "
            "them; 0: none. They want a higher learning rate, as `5e-4` (Hu et al., arXiv 2106.09685, table "
            "9)"
        ),
    )
    lora_alpha: int | None = Field(
        default=None, ge=1, description="what they add is scaled by alpha / rank; none: by 1"
    )
    guide: str | None = Field(
        default=None,
        description=(
            'a model that says which texts of a batch are no negatives: `"base"`, a model\'s id, folder or Hub '
            "name; none: only what is known or nearly the same is masked"
        ),
    )
    guide_margin: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "share of the positive's cosine to the query, by the guide, that a text may lack and still be no "
            "negative. Source: 0 is GISTEmbed's (arXiv 2402.16829); NV-Retriever's, for mining, is 0.05 "
            "(arXiv 2407.15831)"
        ),
    )
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = Field(
        default="float32",
        description=(
            '`"bfloat16"` where the hardware has it, on a GPU also `"tf32"` or `"float16"`, which multiply '
            "what stays float32 in TF32; float32 is exact"
        ),
    )
    evals_per_pass: int = Field(default=4, ge=1, description="dev measurements a pass, beside step 0")
    patience: int = Field(default=3, ge=1, description="measurements without a new best before a pass is ended")
    alarms: bool = Field(
        default=True,
        description=(
            "training queries are measured beside dev, and signs of overfitting, repeated pairs and collapse reported"
        ),
    )
    checkpoint_steps: int | None = Field(
        default=None,
        ge=1,
        description=(
            "steps between checkpoints, from which a killed training goes on; none: only at every dev measurement"
        ),
    )
    max_dev_queries: int = Field(
        default=300,
        ge=1,
        description=("dev queries that are measured in training, and may prove an earlier checkpoint better"),
    )
    num_dev_distractors: int = Field(
        default=1000, ge=0, description="documents beside the relevant ones that dev ranks"
    )
    seed: Seed = Field(default=0, description="of the order of pairs, dropout, and every draw")

    @property
    def is_distilled(self) -> bool:
        """Whether the loss learns from a teacher's scores, and so from mined negatives in every pass."""
        return self.loss in ("margin_mse", "kl")

    def mines_before(self, number: int) -> bool:
        """Whether negatives are mined before a pass: pass 1 does without, unless a teacher looks at them."""
        return number > 1 or self.is_distilled


class AdapterRecipe(Section):
    """How an adapter is trained, and with its rate, pull and batches the linear map that training may begin with.

    ``train.seed``, ``scale``, ``max_positives`` and ``max_dev_queries`` hold here too, and ``mining`` but for
    ``max_false``.

    Source of the defaults: the learning rate is Adam's own (Kingma and Ba, arXiv 1412.6980, algorithm 1). The others
    are not tuned: dev, with step 0 a candidate, ends what does harm.
    """

    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's own default")
    l2_sp: float = Field(
        default=1e-3, ge=0, description="weight of the squared distance from a map that changes nothing"
    )
    batch_size: int = Field(
        default=128, ge=1, le=65_536, description="pairs a step; vectors are small, so more fit than texts"
    )
    max_epochs: int = Field(default=30, ge=1, le=10_000, description="dev is measured after each")


class RerankerRecipe(Section):
    """How a cross-encoder is trained.

    ``train.max_pairs``, ``max_positives``, ``precision`` and ``checkpoint_steps``, ``mining.margins``,
    ``min_share`` and ``max_false``, and ``search.rerank.depth`` hold here too; of ``train.source_weights`` those of 0.

    Source of 8 texts a list: Gao et al., Rethink Training of BERT Rerankers (arXiv 2101.08751), section 4; of the
    warm-up: sentence-transformers' own example for MS MARCO. The others are not tuned: dev ends what does harm.
    """

    epochs: float = Field(
        default=2.0,
        gt=0,
        le=10_000,
        description=(
            "of the training of a cross-encoder, `nearer train --reranker`. Of its defaults those without a "
            "source are not tuned: dev ends what does harm"
        ),
    )
    batch_size: int = Field(
        default=8, ge=1, le=65_536, description="lists a step; each is a positive with its negatives"
    )
    learning_rate: float = Field(
        default=5e-5, gt=0, description="peak, after a linear warm-up and before a linear decay"
    )
    warmup_ratio: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description=("share of the steps spent warming up. Source: sentence-transformers' example for MS MARCO"),
    )
    num_negatives: int = Field(
        default=7,
        ge=1,
        description=(
            "negatives in a list, drawn from the `search.rerank.depth` documents that the retriever finds; "
            "also the most documents judged lower. Source: lists of 8 in Gao et al. (2021, arXiv 2101.08751)"
        ),
    )
    max_seq_length: int | None = Field(
        default=None,
        ge=16,
        description=(
            "tokens of query and document together, in training and in search; none: all that the model reads"
        ),
    )
    evals: int = Field(default=6, ge=1, description="dev measurements, beside that of the start")
    patience: int = Field(default=3, ge=1, description="measurements without a new best before it ends")
    max_dev_queries: int = Field(
        default=200,
        ge=1,
        description=("dev queries that choose the checkpoint; `search.rerank.depth` pairs are read for each"),
    )
    seed: Seed = Field(default=0, description="of the fresh head, the order of lists, dropout, and every draw")


MiningSource = Literal["dense", "bm25"]


class MiningRecipe(Section):
    """How hard negatives are chosen.

    ``sources`` propose candidates: the model of the moment, and BM25. One is kept while its score is below the
    positive's times (1 - margin). ``margins`` are tried from the
    strictest; the first that leaves ``num_negatives`` to ``min_share`` of the pairs is used and reported. Where the
    interval of how many are false lies above ``max_false``, nothing of what was mined is used. Our rule: on dev of
    banking77, judged by intents, negatives estimated at 99.5% false took a model from 0.890 to 0.870.

    With a ``reranker`` twice as many are drawn, and those that it takes for answers are put aside: the probability that
    a candidate is preferred to the positive is the sigmoid of the difference of their scores, which needs no scale.
    Source: RankNet (Burges et al. 2005), section 3, for the probability; RocketQA (arXiv 2010.08191), section 4.2, for
    negatives denoised by a cross-encoder, and for 0.9. From 0.5 on a candidate is as relevant as the positive.
    """

    sources: tuple[MiningSource, ...] = Field(
        default=("dense",),
        min_length=1,
        description=('who proposes candidates: `"dense"`, the model of the moment; `"bm25"`'),
    )
    top_k: int = Field(default=10, ge=1, description="negatives are drawn from so many best candidates of each source")
    num_negatives: int = Field(default=1, ge=1, description="negatives a pair")
    margins: tuple[float, ...] = Field(
        default=(0.05, 0.02, 0.0, -1.0),
        description=(
            "tried from the strictest; a negative one lets candidates score above their positive by so much, "
            "-1 lets all pass"
        ),
    )
    min_share: float = Field(
        default=0.8, gt=0, le=1, description="share of pairs that must keep enough candidates for a margin to be used"
    )
    max_false: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description=(
            "share of false negatives, by hidden positives, above which nothing of what was mined is used. "
            "Our rule: on dev of banking77, judged by intents, negatives estimated at 99.5% false took a "
            "model from 0.890 to 0.870"
        ),
    )
    reranker: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "a cross-encoder that looks at what was mined, the teacher: the id of one trained here, a folder, "
            "or a Hub name; none: nobody does"
        ),
    )
    masked_from: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description=(
            "probability, by the teacher, that a mined negative is more relevant than a positive of its "
            "query, from which it is no negative. 0.5 is as relevant. Source of the probability: RankNet "
            "(Burges et al. 2005), section 3"
        ),
    )
    positive_from: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description=(
            "the same against the best positive, from which it is a positive too. Source: RocketQA (arXiv "
            "2010.08191) labels passages from 0.9 on"
        ),
    )

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
        if self.positive_from < self.masked_from:
            raise ValueError("positive_from must not be less than masked_from")
        return self


Exclude = Literal["same-text", "same-id", "none"]
"""Which documents on which nobody judged are taken for the query itself."""


class EvaluateRecipe(Section):
    """What is measured, and how sure we are of it."""

    measures: tuple[str, ...] = Field(
        default=(
            "nDCG@10",
            "Recall@1",
            "Recall@10",
            "Recall@50",
            "Precision@10",
            "MRR@10",
            "MAP",
            "Judged@10",
        ),
        description=(
            "also `HitRate@k`; the first is measured in slices; `ContextRecall@n` and `ContextPrecision@n`, of a "
            "prompt of n tokens, are measured where they are named"
        ),
    )
    depth: int = Field(default=100, ge=1, le=100_000, description="documents ranked a query; MAP is cut there")
    exclude: Exclude = Field(
        default="same-text",
        description=(
            "documents on which nobody judged that are the query itself, and are excluded from its ranking: those of "
            "its text, and the one of its id if their texts are nearly the same; `same-id`: the one of its id, as "
            "BEIR does; `none`. A query's field `excluded_ids` names more. A judged document is never excluded"
        ),
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of every interval")
    num_resamples: int = Field(default=5000, ge=100, le=1_000_000, description="of bootstrap and randomisation")
    group_field: str | None = Field(
        default=None,
        description=("resample whole groups of this query field; none: `split.field` when splitting by group"),
    )
    slice_fields: tuple[str, ...] = Field(
        default=(), description="query fields to report by, or `document.FIELD` of the relevant documents"
    )
    time_field: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "a field of years or ISO dates, named likewise: slices by year, or by four periods where there "
            "are more than eight years"
        ),
    )
    frequency_field: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "a query field that says how often it is asked: slices of head, torso and tail, up to a third of "
            "the traffic each"
        ),
    )
    min_slice_queries: int = Field(
        default=10,
        ge=1,
        description=(
            "a slice of fewer is counted and never measured; nor is one of too few queries or groups for an interval"
        ),
    )
    wanted_precision: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="half the width of an interval; how many judged queries that needs is printed",
    )
    seed: Seed = Field(default=0, description="of the resampling")


class GateRecipe(Section):
    """What a candidate must show before it goes live."""

    measure: str = Field(default="nDCG@10", description="what a candidate must gain in")
    min_gain: float = Field(default=0.0, description="the lower end of the gain's interval must exceed this")
    min_slice_queries: int = Field(default=50, ge=2, description="smaller slices cannot refuse")
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="a slice is proven worse at this level, after Holm's correction"
    )
    suite: str | None = Field(
        default=None,
        description=(
            "file of cases that must keep working (format), as a path from the workspace; none: the gate asks for none"
        ),
    )

    @field_validator("suite")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value and "\0" in value:
            raise ValueError("must be the path of a file")
        return value


class IndexRecipe(Section):
    """Which index answers queries.

    "auto" compares every passage while there are at most ``exact_up_to``, and is LanceDB above. A release is refused
    while the recall measured against exact search is below ``min_recall``. Source of the defaults: docs/adr/0005.
    """

    kind: Literal["auto", "exact", "lancedb"] = Field(
        default="auto",
        description=(
            '`"exact"`, `"lancedb"`, or by size: exact up to `index.exact_up_to` passages, LanceDB above '
            "until half of it"
        ),
    )
    exact_up_to: int = Field(
        default=50_000,
        ge=0,
        description="passages up to which every one is compared; above, LanceDB uses a vector index",
    )
    min_recall: float = Field(
        default=0.98,
        ge=0,
        le=1,
        description=(
            "share of the exact 10 best that the index must find, measured at every build; below it a release "
            "is refused"
        ),
    )
    num_recall_queries: int = Field(
        default=200,
        ge=1,
        description=("queries of the workspace that recall is measured on; passages stand in where there is no query"),
    )
    filter_fields: tuple[str, ...] = Field(
        default=(), description="document fields that `nearer search --where` may use"
    )


class CompressRecipe(Section):
    """Which shorter and smaller vectors `nearer compress` measures, and what they may lose.

    Source of 4: Shakir, Aarsen and Lee, Binary and Scalar Embedding Quantization (2024, Hugging Face blog), which keeps
    96% of the quality by it; of 0.01: docs/reference/recipe.md.
    """

    dimensions: tuple[Dimension, ...] = Field(
        default=(64, 128, 256),
        description="that `nearer compress` measures beside the full ones, as far as they are smaller",
    )
    precisions: tuple[Literal["float32", "float16", "int8", "binary"], ...] = Field(
        default=("float32", "float16", "int8", "binary"),
        description="the same for precisions; the full float32 vectors are always measured",
    )
    rescore: int = Field(
        default=4,
        ge=1,
        le=1000,
        description=(
            "documents that the signs of binary vectors find for each that is wanted; int8 orders them. "
            "Source: Shakir, Aarsen and Lee (2024), Binary and Scalar Embedding Quantization"
        ),
    )
    max_loss: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description=(
            "share of the full vectors' nDCG@10 that the proposed size may lose. Our rule, as for "
            "`advise.tolerance`: about what two seeds of one training differ by"
        ),
    )
    num_timed_queries: int = Field(
        default=20, ge=1, description="queries that are searched one at a time for the search time"
    )


class BoostRecipe(Section):
    """What a field of a document adds to its score: from 0 at ``low`` to ``weight`` at ``high``.

    The ends are numbers, or dates as ISO 8601 text.
    """

    weight: float = Field(gt=0, le=10)
    low: float | str
    high: float | str


class RerankRecipe(Section):
    """The cross-encoder that reads a query together with each of the ``depth`` best documents."""

    model: str | None = Field(
        default=None, description="cross-encoder of `+rerank`: the id of one trained here, a folder or a Hub name"
    )
    depth: int = Field(default=20, ge=2, le=1000, description="documents that it reads")
    keep: int = Field(default=5, ge=1, description="results of a search that asks for no number")
    max_seq_length: int | None = Field(
        default=None, ge=16, description="tokens of query and document together; none: the model's own"
    )


class SearchRecipe(Section):
    """What the stages do that a system's name adds, as in ``base+filter+hybrid``.

    ``query_time_fields`` are the fields of a query that are known when it is asked; only these may filter. A rule is
    ``document field, comparison, value``, where ``query.FIELD`` stands for the query's own value.
    """

    query_time_fields: tuple[str, ...] = Field(
        default=(),
        description=(
            "fields of a query that are known when it is asked; only these may filter. Imported query "
            "metadata often comes from the right answer, so name a field only if your users give it; never "
            "`label_*`"
        ),
    )
    filters: tuple[str, ...] = Field(
        default=(),
        description=(
            "rules of `+filter`: a document field, a comparison and a value, or `query.FIELD` for the query's "
            'own, as in `"jurisdiction=query.jurisdiction"`, `"in_stock=true"`'
        ),
    )
    boosts: dict[str, BoostRecipe] = Field(
        default_factory=dict,
        description=(
            "of `+boost`, by document field: `{ year = { weight = 0.1, low = 2000, high = 2026 } }` adds up "
            "to `weight` to scores scaled to 0 to 1"
        ),
    )
    dense_weight: float = Field(default=0.5, ge=0, le=1, description="of vectors in `+hybrid`; words have the rest")
    depth: int = Field(default=100, ge=1, le=10_000, description="documents that each ranking hands to the next stage")
    language: str = Field(
        default=ENGLISH,
        description=(
            "of the words that `bm25` compares: whose stems and stop words; `none` for neither. Text in other scripts "
            f"is cut all the same. One of {', '.join(f'`{each}`' for each in LANGUAGES)}"
        ),
    )
    rerank: RerankRecipe = RerankRecipe()

    @field_validator("language")
    @classmethod
    def _with_known_stems(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(f"there are no stems of {value!r}; use none, or one of {', '.join(LANGUAGES[1:])}")
        return value

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

    order_within: int = Field(default=20, ge=2, description="a relevant document this high is a reranker's work")
    recall_within: int = Field(
        default=100, ge=2, le=1000, description="a relevant document below was not found; 1000 at most"
    )
    same_cosine: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="two texts this near are one in meaning, where random ones are not as near",
    )
    rule_share: float = Field(
        default=0.95,
        gt=0.5,
        le=1,
        description="share of relevant documents in training that must obey a rule on metadata",
    )
    num_examples: int = Field(default=3, ge=0, description="queries shown of each cause")

    @model_validator(mode="after")
    def _in_order(self) -> "DiagnosisRecipe":
        if self.order_within > self.recall_within:
            raise ValueError("order_within must not be more than recall_within")
        return self


class TasksRecipe(Section):
    """How the other tasks than search are measured: duplicates, clusters, classes, items alike."""

    num_neighbours: int = Field(default=5, ge=1, description="labelled neighbours that vote on the class of an item")
    max_items: int = Field(
        default=2000, ge=10, description="items of a split that are measured; beyond that a seeded draw"
    )
    num_clusterings: int = Field(
        default=5, ge=1, description="clusterings, each from another seed, whose values are averaged"
    )
    seed: int = Field(default=0, ge=0, description="of every draw: items, pairs, clusterings")


class AdviseRecipe(Section):
    """How the remedies are measured, and the rules of the verdict, whose sources are in docs/reference/recipe.md.

    The learning curve trains on up to ``curve_pairs`` pairs, and on shares of them, for some minutes on two cores.
    """

    num_folds: int = Field(
        default=5,
        ge=2,
        le=20,
        description=(
            "of whole groups of queries; what is tuned without a fold is judged on it (Stone 1974, section 2)"
        ),
    )
    max_queries: int = Field(
        default=2000, ge=10, description="judged queries of train and dev, drawn at random beyond that"
    )
    rerank_queries: int = Field(
        default=100, ge=10, description="of them that a reranker is measured on, for it reads 20 texts a query"
    )
    encoders: tuple[EncoderRecipe, ...] = Field(
        default=(),
        description=(
            "other encoders, set beside the base: folders, Hub names, or tables of `encoder`, also behind an "
            'API: `["./other", { model = "text-embedding-3-small", api = { endpoint = '
            '"https://api.openai.com/v1", key_env = "OPENAI_API_KEY" } }]`'
        ),
    )
    chunks: tuple[ChunkRecipe, ...] = Field(
        default=(),
        description=(
            "other ways to cut documents, as tables of `chunk`: `[{ max_tokens = 128 }, { repeat_title = true }]`"
        ),
    )
    target: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description=("the nDCG@10 that is wanted; what fine-tuning leaves of it is given to the search around it"),
    )
    tolerance: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description=(
            "of nDCG@10: remedies within it of the best count as good as it. Our rule: about what two seeds "
            "of one training differ by"
        ),
    )
    min_pairs: int = Field(
        default=1000,
        ge=0,
        description=("training pairs below which there is little to learn from (sentence-transformers issue 1334)"),
    )
    broken_base: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description=(
            "nDCG@10 of a base that mostly meets faulty data, unless a remedy is proven to gain. Our rule: "
            "the worst base in results is at 0.45"
        ),
    )
    saturated_base: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description=("nDCG@10 from which what is missing is mostly disagreement about the judgments. Our rule"),
    )
    data_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description=(
            "share of the diagnosed queries that fail for data no remedy mends, from which data come first. Our rule"
        ),
    )
    cheapest_first: tuple[str, ...] = Field(
        default=("filter", "hybrid", "rerank", "adapter", "change_encoder", "fine_tune"),
        description=(
            "the words of remedies by what they cost to make and keep: settings, then more work a query, then "
            "training, then new vectors"
        ),
    )
    seed: Seed = Field(default=0, description="of folds and draws")
    curve_pairs: int = Field(default=600, ge=2, description="pairs of the learning curve's largest training")
    curve_trainings: int = Field(default=1, ge=1, le=20, description="trainings of each of its sizes, from other seeds")
    curve_passages: int = Field(
        default=2000,
        ge=1,
        description=(
            "passages that its dev queries rank; a larger corpus is cut down to the relevant documents, those "
            "that BM25 ranks high, and random ones"
        ),
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

    machine_usd_per_hour: float | None = Field(
        default=None, ge=0, description="of the machine that encodes; none: encoding is not priced"
    )
    api_usd_per_million_tokens: float | None = Field(
        default=None, ge=0, description="of an embedding API; none: it is not priced"
    )
    tokens_per_document: float | None = Field(
        default=None, gt=0, description="that the API would charge for; none: those of the measured sample"
    )
    storage_usd_per_gb_month: float | None = Field(
        default=None, ge=0, description="of 10^9 bytes; none: storage is not priced"
    )
    gpu_usd_per_hour: float | None = Field(
        default=None, ge=0, description="of the machine that trains; none: training is not priced"
    )
    finetune_usd_per_run: float | None = Field(
        default=None, ge=0, description="of a service that fine-tunes, in place of that machine"
    )
    llm_usd_per_million_tokens: float | None = Field(
        default=None, ge=0, description="of a model that writes queries for documents; needs `cost.tokens_per_document`"
    )
    judgment_usd: tuple[float, float] = Field(
        default=(0.5, 2.0), description="of one judgment by a person, from and to"
    )
