"""What the passes of a training work with, and the changes that make another training of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nearer.core.errors import RecipeError
from nearer.core.progress import OutOfTime, Progress
from nearer.core.results.training import DevPoint
from nearer.core.results.training_plan import Plan, Settings
from nearer.encode.corpus import CachedEncoder, Corpus
from nearer.encode.encoder import Encoder
from nearer.encode.engine import current_engine
from nearer.learn.checkpoint import weights_of
from nearer.learn.examples import Example, limit
from nearer.learn.fit import Sides
from nearer.learn.losses import learns_likeness
from nearer.learn.lower_layers import Activations
from nearer.learn.merge import Weights
from nearer.store.workspace import Workspace
from nearer.training.deadline import Deadline
from nearer.training.monitor import Monitor
from nearer.training.query_side import sides_of
from nearer.training.run import TrainingRun
from nearer.training.warm_start import WarmStart, build_warm_start


class Diverged(RecipeError):
    """A training broke down before dev saw anything better."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingJob:
    """A training: the model in ``encoder`` is changed by it, all else stays. ``first`` numbers its first pass.

    ``warm_start`` is what it begins with, and ``start`` the weights then, where L2-SP holds them; ``activations``
    are those of frozen layers, for all passes. ``start_point`` is what dev says of that, from vectors in the cache.
    """

    workspace: Workspace
    run: TrainingRun
    encoder: Encoder
    corpus: Corpus
    examples: Sequence[Example]
    monitor: Monitor
    first: int
    deadline: Deadline
    progress: Progress
    warm_start: WarmStart = field(default_factory=WarmStart)
    start: Weights | None = None
    start_point: DevPoint | None = None
    activations: Activations = field(default_factory=Activations)

    @property
    def sides(self) -> Sides:
        """The prompts of the encoder, the vectors that its documents keep, if they do, and what serves all passes."""
        sides = sides_of(self.encoder, self.workspace.recipe.train)
        return replace(sides, activations=self.activations, start=self.start)

    @property
    def mines(self) -> bool:
        """Whether it mines before any of its passes."""
        return any(self.mines_before(number) for number in self.passes)

    @property
    def passes(self) -> range:
        """The numbers of its passes."""
        return range(self.first, self.first + self.workspace.recipe.train.passes)

    def mines_before(self, number: int) -> bool:
        """Whether it mines before a pass, as the recipe or a map has it, if its loss has any use for negatives."""
        recipe = self.workspace.recipe.train
        mines = recipe.mines_before(number) or self.map_mines(number)
        return mines and not learns_likeness(recipe.loss, self.examples)

    def map_mines(self, number: int) -> bool:
        """Whether a linear map mines before a pass, for which nothing is encoded: before pass 1, where it was kept."""
        return number == 1 and self.warm_start.mapped is not None

    def miner(self, number: int) -> Encoder | CachedEncoder:
        """What gives the vectors that are mined with before a pass: the model as it is then, or the linear map.

        Where other machines encode, the model's come through the cache, in which is kept what they have done.
        """
        if number == 1 and self.warm_start.mapped:
            return self.warm_start.mapped
        if current_engine() is None:
            return self.encoder
        now = Encoder(self.encoder.model, settings=self.encoder.settings, batch_size=self.encoder.batch_size)
        return CachedEncoder(workspace=self.workspace, encoder=now, progress=self.deadline.watching(self.progress))

    def begin(self) -> "TrainingJob":
        """The same with what its recipe has it begin with, put behind the model in place, and dev at step 0."""
        encoder, warm_start = self.encoder, WarmStart()
        try:
            encoder, warm_start = build_warm_start(
                self.workspace,
                self.encoder,
                self.examples,
                self.monitor.dev,
                is_base=self.first == 1,
                progress=self.deadline.watching(self.progress),
            )
        except OutOfTime:
            self.progress.say("the time decides: no linear map is learned first")
        start = weights_of(encoder.model) if self.workspace.recipe.train.l2_sp else None
        begun = replace(self, encoder=encoder, warm_start=warm_start, start=start)
        return replace(begun, start_point=begun._start_point())

    def _start_point(self) -> DevPoint | None:
        """What dev says at step 0 by vectors that are in the cache; None where they are not."""
        if self.warm_start.is_rotated:
            return None
        source: Encoder | CachedEncoder = self.warm_start.mapped or self.encoder
        if type(source) is Encoder:
            source = CachedEncoder(workspace=self.workspace, encoder=source)
        return self.monitor.point(source, 0, self.progress)

    def under(self, settings: Settings) -> "TrainingJob":
        """The same with other values of the recipe, by keys such as ``train.epochs``."""
        return replace(self, workspace=self.workspace.with_values(settings))

    def planned(self, plan: Plan) -> "TrainingJob":
        """The same as a plan has it."""
        examples = limit(self.examples, max_pairs=plan.num_pairs, seed=self.workspace.recipe.train.seed)
        return replace(self.under(plan.changes), examples=examples)

    def part(self, number: int, settings: Settings, *, deadline: Deadline) -> "TrainingJob":
        """One of several trainings of a run, with settings and a time of its own."""
        return replace(self.under(settings), run=self.run.part(number), deadline=deadline)
