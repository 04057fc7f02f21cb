"""How queries are answered: the index, the sizes of vectors, and the stages of a search."""

from typing import Literal

from pydantic import Field, field_validator

from nearer.core.analysis import ENGLISH, LANGUAGES
from nearer.core.filters import DERIVED
from nearer.core.sections.base import Section
from nearer.core.sections.store import refuse_password
from nearer.core.sections.training import Dimension


class IndexRecipe(Section):
    """Which index answers queries.

    "auto" compares every passage while there are at most ``exact_up_to``, and is LanceDB above. A release is refused
    while the recall measured against exact search is below ``min_recall``. Source of the defaults: docs/adr/0005.
    """

    kind: Literal["auto", "exact", "lancedb", "pgvector"] = Field(
        default="auto",
        description=(
            '`"exact"`, `"lancedb"`, `"pgvector"` (PostgreSQL), or by size: exact up to `index.exact_up_to` passages, '
            "LanceDB above until half of it"
        ),
    )
    url: str | None = Field(
        default=None,
        description=(
            'of `"pgvector"`: `postgresql://USER@HOST/DATABASE`, without a password, or `"here"` for one of the '
            "workspace's own; the environment's NEARER_POSTGRES_URL goes before it"
        ),
    )
    exact_up_to: int = Field(
        default=50_000,
        ge=0,
        description="passages up to which every one is compared; above, LanceDB and PostgreSQL use a vector index",
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
    filter_fields: tuple[str, ...] = Field(
        default=(), description="document fields that `nearer search --where` may use"
    )

    @field_validator("url")
    @classmethod
    def _without_a_password(cls, value: str | None) -> str | None:
        if value is not None:
            refuse_password(value, elsewhere="PGPASSWORD, ~/.pgpass or NEARER_POSTGRES_URL")
        return value


class CompressRecipe(Section):
    """Which shorter and smaller vectors `nearer compress` measures, and what they may lose.

    Source of 0.01: docs/reference/recipe.md.
    """

    dimensions: tuple[Dimension, ...] = Field(
        default=(64, 128, 256),
        description="measured beside the full ones, as far as they are smaller, in every precision",
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
    explore: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description=(
            "share of the service's answers in which two neighbours are swapped, drawn evenly, so that the log of "
            "clicks tells position from document"
        ),
    )
    holdout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "share of the users whom the release that was live first goes on answering, whatever goes live, so that "
            "what all turns together gained is measured; `nearer experiment list` shows it"
        ),
    )
    rerank: RerankRecipe = RerankRecipe.model_construct()

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
