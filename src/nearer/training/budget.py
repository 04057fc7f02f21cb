"""What of a training fits into a time, and what saves time where not all pairs do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nearer.core.errors import RecipeError
from nearer.core.results.training import Pace, Plan, Settings
from nearer.learn.batch_sampler import BatchOrder
from nearer.learn.examples import limit
from nearer.learn.lower_layers import layers_of
from nearer.learn.plan import make_plan
from nearer.learn.precision import precisions_of
from nearer.training.job import TrainingJob
from nearer.training.pace import cheaper, measured
from nearer.training.run import KeptBudget

_WORTH = 1.1
"""Times as many pairs that a saving must make room for. Our rule: timings of a few steps are not exact."""
_WORTH_LEARNING_LESS = 1.25
"""The same where less is learned of each. Our rule, by dev of the demo: a tenth more pairs are no second pass."""
_LINEAR_EPOCHS = 5
"""Of the map that takes the place of passes there is no time for. Our rule, by dev (ADR 15): they take seconds."""
_FEWEST_TOKENS = 64
"""What training goes down to by itself. Our rule, from `settings` of benchmarks/training.py."""


def planned(
    job: TrainingJob, *, number: int, longest: float, clock: Callable[[], float]
) -> tuple[TrainingJob, KeptBudget]:
    """The training that ``number`` times fits into its time, begun, and how that was chosen, which the run keeps.

    ``longest`` are the most epochs. What an earlier process of the run chose stays chosen. Raises RecipeError when the
    time is too short.
    """
    kept = job.run.budget()
    if kept is None:
        job, plan, pace = _choose(job.under({"train.epochs": longest}), number=number, clock=clock)
        job.run.keep_budget(kept := KeptBudget(left_s=job.deadline.left_s, plan=plan, pace=pace))
    else:
        job = job.under(kept.plan.savings).begin()
    plan = kept.plan
    if plan.num_pairs < min(job.workspace.recipe.train.batch_size, len(job.examples)):
        job.run.remove()
        raise RecipeError(
            "the time is too short to train: of what is left after reading and encoding, not one batch fits; "
            f"a dev measurement takes {kept.pace.dev_s:.3g} s, a step {kept.pace.plain_step_s:.3g} s",
            hint="give it more time, as in --budget 20m; vectors that were encoded are kept",
        )
    for reason in plan.reasons:
        job.progress.say(f"the time decides: {reason}")
    job.progress.say(f"expects to train for {plan.estimate_s:.0f} s" + (" each time" if number > 1 else ""))
    return job.planned(plan), kept


def _choose(job: TrainingJob, *, number: int, clock: Callable[[], float]) -> tuple[TrainingJob, Plan, Pace]:
    """The job, begun, and its plan; with what saves time where more pairs fit by it. Trying that takes time too.

    Where the recipe does not say whether it begins with a linear map, it does where a pass is left out. Only then is it
    known whether pass 1 has mined negatives, and takes longer by them.
    """
    recipe = job.workspace.recipe.train
    fitting = _Fitting(job=job, pace=measured(job, clock=clock), number=number, clock=clock)
    fitting = fitting.coarser().shorter().fewer_passes()
    if recipe.warm_start_epochs is None and "train.passes" in fitting.savings:
        fitting = fitting.under({"train.warm_start_epochs": _LINEAR_EPOCHS})
    fitting = replace(fitting, job=fitting.job.begin()).shorter().frozen()
    plan = fitting.plan()
    plan = replace(plan, savings=fitting.savings, reasons=(*fitting.reasons, *plan.reasons))
    return fitting.job, plan, fitting.pace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitting:
    """A job and its pace under what saves time so far, the least harmful first, and why that was worth it."""

    job: TrainingJob
    pace: Pace
    number: int
    clock: Callable[[], float]
    savings: Settings = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def plan(self) -> Plan:
        """What fits into the time that is left now."""
        job, recipe = self.job, self.job.workspace.recipe.train

        def num_batches(num_pairs: int) -> int:
            return BatchOrder.of(limit(job.examples, max_pairs=num_pairs, seed=recipe.seed), recipe).num_batches

        return make_plan(
            self.pace,
            recipe=recipe,
            num_pairs=len(job.examples),
            num_batches=num_batches,
            time_s=job.deadline.left_s / self.number,
            first=job.first,
            mines_before=job.mines_before,
            map_mines=job.map_mines,
        )

    def under(self, settings: Settings) -> "_Fitting":
        """The same with other values of the recipe, at the same pace."""
        return replace(self, job=self.job.under(settings), savings={**self.savings, **settings})

    def coarser(self) -> "_Fitting":
        """Matrix products in bfloat16, where the hardware has such, if more pairs fit by it."""
        own, device = self.job.workspace.recipe.train.precision, self.job.encoder.model.device
        if own != "float32" or "bfloat16" not in precisions_of(device):
            return self
        why = "steps multiply in bfloat16, instead of float32"
        return self._with({"train.precision": "bfloat16"}, why, changes_steps=True)

    def shorter(self) -> "_Fitting":
        """Texts read to half of the tokens, if more pairs fit by it."""
        recipe, encoder = self.job.workspace.recipe.train, self.job.encoder
        longest = recipe.max_seq_length or encoder.settings.max_seq_length
        if longest // 2 < _FEWEST_TOKENS or "train.max_seq_length" in self.savings:
            return self
        why = f"texts are read to {longest // 2} tokens in training, instead of {longest}"
        return self._with({"train.max_seq_length": longest // 2}, why, changes_steps=True)

    def fewer_passes(self) -> "_Fitting":
        """No more passes than there is time to mine for, else one pass alone, if more pairs fit by it."""
        plan, passes = self.plan(), self.job.workspace.recipe.train.passes
        if plan.passes < passes:
            return replace(self.under({"train.passes": plan.passes}), reasons=(*self.reasons, plan.reasons[0]))
        if passes == 1:
            return self
        return self._with({"train.passes": 1}, f"one pass is trained instead of {passes}", worth=_WORTH_LEARNING_LESS)

    def frozen(self) -> "_Fitting":
        """The upper half of the layers alone, if more pairs fit by it; not after a linear map, where dev was no better.

        Source: medquad and nl2bash in docs/results.md, "Beside the stock recipe".
        """
        recipe, transformer = self.job.workspace.recipe.train, self.job.encoder.model.transformers_model
        half = len(layers_of(transformer)) // 2 if transformer is not None else 0
        if half <= recipe.freeze_layers or recipe.lora_rank or self.job.warm_start.mapped:
            return self
        why = f"the lowest {half} layers stay as they are"
        return self._with({"train.freeze_layers": half}, why, changes_steps=True, worth=_WORTH_LEARNING_LESS)

    def _with(self, settings: Settings, why: str, *, changes_steps: bool = False, worth: float = _WORTH) -> "_Fitting":
        """The same with these settings, where not all pairs fit and by them ``worth`` times as many do."""
        if self.plan().num_pairs == len(self.job.examples):
            return self
        saving = self.under(settings)
        if changes_steps:
            try:
                saving = replace(saving, pace=cheaper(self.pace, self.job, saving.job, clock=self.clock))
            except RecipeError:
                return self
        num_pairs, before = saving.plan().num_pairs, self.plan().num_pairs
        if num_pairs <= worth * before:
            return self
        return replace(saving, reasons=(*self.reasons, f"{why}: so {num_pairs} pairs fit, instead of {before}"))
