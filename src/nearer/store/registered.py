"""What the registry holds: models, rerankers, trainings, releases, and what was decided of them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nearer.core.results.base import JSON

if TYPE_CHECKING:
    from nearer.core.results.measuring import Evaluation, SuiteRun
    from nearer.core.results.training import TrainingRecord

Action = Literal["promote", "refuse", "rollback", "arm", "hold"]
"""An arm is a release that a share of the users is answered by, and one on hold passed the gate; live stays."""
UNMEASURED = "unmeasured"
"""In a release's system: nothing was judged to measure it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model the workspace knows; ``encoder`` holds its encoder's settings, ``source`` says where it lies.

    The settings of an adapter, of a compressed model, or of one trained for queries alone, name the space that it
    searches; what they map, and what documents keep, is the encoder of the parent.
    """

    model_id: str
    encoder_id: str
    source: str
    encoder: JSON
    parent_model_id: str | None = None
    created_at: str = ""

    @property
    def space_id(self) -> str:
        """The space of the document vectors that this model searches: its own, or the one that an adapter targets."""
        return str(self.encoder.get("space_id", self.encoder_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranker:
    """A cross-encoder that was trained here, from ``parent_id``: a model, another reranker, or none that is known."""

    reranker_id: str
    cross_encoder_id: str
    source: str
    parent_id: str | None = None
    created_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that ended, and the id of the model or reranker that stands after it, None where there is none.

    ``started_at`` tells it from others: a training that was cut short after it was entered is entered once.
    """

    verb: str
    part_id: str | None
    is_improved: bool
    record: "TrainingRecord"
    started_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A system that may answer queries: a model and its space."""

    release_id: str
    model_id: str
    space_id: str
    system: JSON = field(default_factory=dict)
    created_at: str = ""

    @property
    def is_unmeasured(self) -> bool:
        """Whether it went live with no judged query to measure it by."""
        return bool(self.system.get(UNMEASURED))

    @property
    def reranker(self) -> str | None:
        """What its system calls its cross-encoder: the id of one trained here, a folder, or a Hub name."""
        name = self.system.get("search", {}).get("rerank", {}).get("model")
        return str(name) if name else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided of a model, why, and what the gate saw; without measurements where no gate was asked."""

    action: Action
    model_id: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    forced: str | None = None
    evaluation: "Evaluation | None" = None
    suite: "SuiteRun | None" = None
