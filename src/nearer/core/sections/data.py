"""What comes in: the columns of files, what grades mean, and how queries are split."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nearer.core.sections.base import Section, Seed
from nearer.core.types import as_time

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

    documents: DocumentColumns = DocumentColumns.model_construct()
    queries: QueryColumns = QueryColumns.model_construct()
    judgments: JudgmentColumns = JudgmentColumns.model_construct()
    pairs: PairColumns = PairColumns.model_construct()


EventColumn = Literal[
    "session",
    "query",
    "doc",
    "position",
    "clicked",
    "time",
    "user",
    "ranker",
    "propensity",
    "action",
    "dwell_s",
    "value",
]


class EventsRecipe(Section):
    """How logs of what users did are taken in, and what an action is worth."""

    columns: dict[EventColumn, ColumnName] = Field(
        default_factory=dict,
        description='what a log of your own calls its columns: `{ session = "visit", doc = "item_id" }`',
    )
    first_rank: Literal[0, 1] | None = Field(
        default=None, description="what the top position is called; none: what every list that shows its top says"
    )
    gains: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: {
            "click": 0.5,
            "save": 1.0,
            "copy": 1.0,
            "purchase": 1.0,
            "rating": 1.0,
            "reformulation": 0.5,
            "abandonment": 0.5,
        },
        description=(
            "what an action says of a document, from 0 to 1; one that is not named says nothing. A click counts by how "
            "long was read, double from 30 s on; a rating by its value, of 5; reformulation and abandonment take as "
            "much from all of their answer"
        ),
    )
    keep_days: int | None = Field(default=None, ge=1, description="days after which events are removed; none: never")


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
        dev_from, test_from = as_time(self.dev_from), as_time(self.test_from)
        if isinstance(self.dev_from, int) and isinstance(self.test_from, int):
            dev_from, test_from = self.dev_from, self.test_from
        if dev_from is not None and test_from is not None and dev_from > test_from:
            raise ValueError("dev_from must not be later than test_from")
        if self.dev_fraction + self.test_fraction >= 1:
            raise ValueError("dev_fraction + test_fraction leave nothing to train on")
        return self
