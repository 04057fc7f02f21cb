"""What an experiment is, before it begins: frozen then, with a hash that stands in its report."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from nearer.core.errors import InputError
from nearer.core.ids import content_id
from nearer.core.sections.base import Section
from nearer.core.toml_files import explained, is_misplaced, read_toml
from nearer.online.metrics import LATENCY, metric_of
from nearer.online.outcomes import Unit

Kind = Literal["ab", "aa", "canary", "interleaving"]
_MOST_BYTES = 2**16

GUARDRAILS = {LATENCY: 0.02, "errors": 0.005, "zero_results": 0.005}
"""Margins of the guardrails that a plan has unless it names its own: shares of all searches. Our rule."""


class Plan(Section):
    """An experiment as it was thought of before anybody saw a number.

    ``ab`` compares a candidate with what is live. ``aa`` compares live with itself, and must find nothing. ``canary``
    is an ``ab`` of few users that ends by itself when it does harm. ``interleaving`` mixes both rankings in one list.
    """

    name: str = Field(min_length=1, max_length=100, description="one line, shown in the report")
    hypothesis: str = Field(min_length=1, description="what is expected, and why")
    kind: Kind = "ab"
    treatment: str | None = Field(default=None, description="the system that is tried; none for aa")
    share: float = Field(default=0.5, gt=0, lt=1, description="share of users that the treatment answers")
    unit: Unit = Field(default="user", description="who is drawn: a user, or a session")
    primary: str = Field(default="click_through", description="the one metric that decides")
    metrics: tuple[str, ...] = Field(default=("success@1", "reformulation", "abandonment", "time_to_success"))
    guardrails: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: dict(GUARDRAILS),
        description="metrics that must not get worse, each with what it may lose: an absolute difference",
    )
    days: int = Field(default=14, ge=1, le=365, description="how long it runs; a fixed horizon is read after them")
    sequential: bool = Field(default=False, description="intervals that may be read at any time, and are wider")
    before_days: int = Field(default=28, ge=0, le=365, description="days before it that CUPED learns from; 0: none")
    confidence: float = Field(default=0.95, gt=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        if (self.treatment is None) != (self.kind == "aa"):
            raise ValueError("treatment names the system that is tried, but for aa, which tries live itself")
        if self.kind == "canary" and not self.sequential:
            raise ValueError("a canary is looked at all the time: set sequential = true")
        if self.kind == "interleaving" and self.sequential:
            raise ValueError("interleaving is read once, after its days: leave sequential out")
        names = [self.primary, *self.metrics, *self.guardrails]
        for name in names:
            if name != LATENCY:
                _known(name)
        return self

    @property
    def plan_hash(self) -> str:
        """The hash of all that was decided beforehand."""
        return content_id("plan", self.model_dump(mode="json"))


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file. Raises InputError with what is wrong in it."""
    values = read_toml(path, most_bytes=_MOST_BYTES)
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        said = explained(path, error, whole="plan", is_secret=is_misplaced)
        raise InputError(said, hint="the keys are in docs/how-to/run-an-experiment.md") from error


def _known(name: str) -> None:
    """Raises ValueError for what is no metric."""
    try:
        metric_of(name)
    except InputError as error:
        raise ValueError(f"{error.message}: {error.hint}") from error
