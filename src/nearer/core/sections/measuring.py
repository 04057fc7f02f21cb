"""How systems are measured, judged, diagnosed and compared with their cost."""

from typing import Literal

from pydantic import Field, field_validator

from nearer.core.sections.base import Section, Seed
from nearer.core.sections.encoder import ChunkRecipe, EncoderRecipe

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
    seed: Seed = Field(default=0, description="of the resampling, of folds, and of the draws of advice and other tasks")


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


class AdviseRecipe(Section):
    """How the remedies are measured, and the rules of the verdict, whose sources are in docs/reference/recipe.md.

    The learning curve trains on up to ``curve_pairs`` pairs, and on shares of them, for some minutes on two cores.
    """

    encoders: tuple[EncoderRecipe, ...] = Field(
        default=(),
        description=(
            "other encoders, set beside the base: folders, Hub names, or tables of `encoder`, also behind an "
            'API: `["./other", { model = "text-embedding-3-small", api = { endpoint = '
            '"https://api.openai.com/v1", key_env = "OPENAI_API_KEY" } }]`'
        ),
    )
    chunks: tuple[ChunkRecipe, ...] = Field(
        default=(ChunkRecipe(enabled=False), ChunkRecipe(max_tokens=254), ChunkRecipe(repeat_title=False)),
        description=(
            "other ways to cut documents, as tables of `chunk`: `[{ max_tokens = 62 }, { enabled = false }]`; the "
            "default's are tried from 100 judged queries on, and up to 5,000 passages"
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
    cheapest_first: tuple[str, ...] = Field(
        default=("filter", "hybrid", "rerank", "adapter", "change_encoder", "fine_tune"),
        description=(
            "the words of remedies by what they cost to make and keep: settings, then more work a query, then "
            "training, then new vectors"
        ),
    )
    curve_pairs: int = Field(default=600, ge=2, description="pairs of the learning curve's largest training")

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
    def _names_differ(cls, value: tuple[EncoderRecipe, ...]) -> tuple[EncoderRecipe, ...]:
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
