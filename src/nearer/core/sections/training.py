"""How models are trained: the encoder, an adapter, a cross-encoder, and the hard negatives of all."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nearer.core.records import JUDGMENT_SOURCES, TRUSTED, JudgmentSource
from nearer.core.sections.base import Section, Seed

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
    source_caps: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="pairs of a source at most, drawn at random: `{ clicks = 5000 }`"
    )
    judged_by: tuple[JudgmentSource, ...] = Field(
        default=TRUSTED,
        min_length=1,
        description=(
            "whose judgments training learns from: some of human, import, llm, clicks; of a pair that several judged "
            "the first counts. With others than the first two, the source of a pair is who judged it"
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
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = Field(
        default="float32",
        description=(
            '`"bfloat16"` where the hardware has it, on a GPU also `"tf32"` or `"float16"`, which multiply '
            "what stays float32 in TF32; float32 is exact"
        ),
    )
    evals_per_pass: int | None = Field(
        default=None,
        ge=1,
        description="dev measurements a pass, beside step 0; none: up to 4, as take a fifth of the work of training",
    )
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
    max_dev_queries: int | None = Field(
        default=None,
        ge=1,
        description=(
            "dev queries that are measured in training, and may prove an earlier checkpoint better; none: 300, down "
            "to 50 where they would take more than a fifth of the work of training"
        ),
    )
    num_dev_distractors: int | None = Field(
        default=None,
        ge=0,
        description=(
            "passages that dev ranks beside those of the relevant documents; none: 1000, down to 100 where they would "
            "take more than a fifth of the work of training"
        ),
    )
    seed: Seed = Field(default=0, description="of the order of pairs, dropout, and every draw")

    @field_validator("judged_by")
    @classmethod
    def _most_trusted_first(cls, value: tuple[JudgmentSource, ...]) -> tuple[JudgmentSource, ...]:
        return tuple(each for each in JUDGMENT_SOURCES if each in value)

    @property
    def most_dev_queries(self) -> int:
        """Dev queries that are measured at most."""
        return self.max_dev_queries or 300

    @property
    def most_dev_distractors(self) -> int:
        """Passages beside those of the relevant documents at most."""
        return 1000 if self.num_dev_distractors is None else self.num_dev_distractors

    @property
    def most_evals(self) -> int:
        """Dev measurements a pass at most, beside step 0."""
        return self.evals_per_pass or 4

    @property
    def is_distilled(self) -> bool:
        """Whether the loss learns from a teacher's scores, and so from mined negatives in every pass."""
        return self.loss in ("margin_mse", "kl")

    def mines_before(self, number: int) -> bool:
        """Whether negatives are mined before a pass: pass 1 does without, unless a teacher looks at them."""
        return number > 1 or self.is_distilled


class AdapterRecipe(Section):
    """How an adapter is trained, and with its rate the linear map that training may begin with.

    ``train.seed``, ``scale``, ``max_positives`` and ``max_dev_queries`` hold here too, and ``mining`` but for
    ``max_false``.
    """

    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's own default (arXiv 1412.6980, algorithm 1)")
    max_epochs: int = Field(default=30, ge=1, le=10_000, description="dev is measured after each")


class RerankerRecipe(Section):
    """How a cross-encoder is trained.

    ``train.max_pairs``, ``max_positives``, ``precision`` and ``checkpoint_steps``, ``mining.margins`` and
    ``max_false``, and ``search.rerank.depth`` hold here too; of ``train.source_weights`` those of 0.

    Source of 8 texts a list: Gao et al., Rethink Training of BERT Rerankers (arXiv 2101.08751), section 4. The others
    are not tuned: dev ends what does harm.
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
    strictest; the first that leaves ``num_negatives`` to most pairs is used and reported. Where the
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
