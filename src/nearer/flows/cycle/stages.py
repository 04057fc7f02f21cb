"""What each stage of a turn does: the verbs, called in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.results.base import JSON
from nearer.core.results.loop import CycleStage
from nearer.core.results.measuring import Evaluation
from nearer.flows.check import check
from nearer.flows.cycle.training import Learning, train_base, train_live
from nearer.flows.cycle.users import run_canary, run_shadow
from nearer.flows.evaluate import evaluate
from nearer.flows.judge_clicks import judge_clicks
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.signals.log import read_log
from nearer.store.cycles import CycleEntry, Cycles
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace
from nearer.systems import BASE
from nearer.turns.fresh import FRESH, hold_fresh, release_fresh
from nearer.turns.news import data_id
from nearer.turns.stages import Outcome, Results, Stage

STAGES: tuple[CycleStage, ...] = get_args(CycleStage)
_JUDGES = "human,import,clicks"
_WITHOUT_SLICES = {"evaluate.slice_fields": (), "evaluate.time_field": None, "evaluate.frequency_field": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """What a turn was asked; ``budget`` is the time for both trainings, shares are those of users."""

    sources: str
    budget: str | None
    shadow: float
    canary: float
    days: int


def stages_of(
    workspace: Workspace, entry: CycleEntry, options: TurnOptions, progress: Progress, *, before: CycleEntry | None
) -> tuple[Stage, ...]:
    """The stages of a turn, in their order; ``before`` is the turn before it."""
    turn = _Turn(workspace=workspace, entry=entry, options=options, progress=progress, before=before)
    recipe = workspace.recipe.model_dump(mode="json", exclude={"store"})

    def measured() -> JSON:
        return {"recipe": recipe, "data": data_id(workspace), "live": _live_before(workspace, entry)}

    def learned() -> JSON:
        return {**measured(), "sources": options.sources, "budget": options.budget}

    return (
        Stage(name="collect", work=turn.collect),
        Stage(name="judge", work=turn.judge, inputs=lambda: {"gains": dict(workspace.recipe.events.gains)}),
        Stage(name="check", work=turn.check, inputs=lambda: {"recipe": recipe}),
        Stage(name="train_live", work=turn.train_live, inputs=learned),
        Stage(name="train_base", work=turn.train_base, inputs=learned),
        Stage(name="evaluate", work=turn.evaluate, inputs=measured),
        Stage(name="gate", work=turn.gate, inputs=measured),
        Stage(name="shadow", work=turn.shadow, inputs=lambda: {"share": options.shadow}, settles=True),
        Stage(
            name="canary",
            work=turn.canary,
            inputs=lambda: {"share": options.canary, "days": options.days},
            settles=True,
        ),
        Stage(name="promote", work=turn.promote, settles=True),
        Stage(name="report", work=turn.report),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    workspace: Workspace
    entry: CycleEntry
    options: TurnOptions
    progress: Progress
    before: CycleEntry | None

    def collect(self, _: Results, __: JSON) -> Outcome:
        """What there is to learn from, as it was when the turn began."""
        news = self.entry.news
        log = read_log(event_folder(self.workspace))
        explored = self.workspace.recipe.search.explore
        notes = () if explored or not log.events.num_rows else (_NO_EXPLORING,)
        summary = f"{news['num_searches']:,} searches, {news['num_events']:,} events that count"
        return Outcome(summary="; ".join([summary, *notes]), result={**news, "explore": explored})

    def judge(self, results: Results, _: JSON) -> Outcome:
        """Judge clicks anew, and hold a slice of the new queries out."""
        released = release_fresh(self.workspace)
        if not results["collect"]["num_events"]:
            return Outcome(summary="no events: what people and files judged is all there is", is_skipped=True)
        try:
            found = judge_clicks(self.workspace)
        except InputError as error:  # there are events, and no click
            return Outcome(summary=error.message, is_skipped=True)
        if found.verdict != "judged":
            return Outcome(summary=f"clicks are not identified: {found.why}", result={"verdict": found.verdict})
        since = str(self.before.news["until"]) if self.before else None
        num_fresh = hold_fresh(self.workspace, since=since)
        agreement = [each.to_dict() for each in found.agreement if each.source == "clicks"]
        return Outcome(
            summary=f"{found.num_judgments:,} judgments of clicks by {found.model}, {num_fresh} new queries held out",
            result={
                "verdict": found.verdict,
                "model": found.model,
                "num_judgments": found.num_judgments,
                "num_users": found.num_users,
                "num_fresh": num_fresh,
                "num_released": released,
                "agreement": agreement,
            },
        )

    def check(self, _: Results, __: JSON) -> Outcome:
        """Refuse what cannot be learned from; queries that leak are left out of training as always."""
        found = check(self.workspace, progress=self.progress)
        others = [each for each in found.faults if not each.startswith(f"{found.num_leaks} leaks")]
        if others and not found.num_leaks:
            raise InputError(f"a turn cannot be done: {others[0]}", hint="see: nearer check; then: nearer cycle")
        splits = ", ".join(f"{name} {number}" for name, number in found.splits.items())
        return Outcome(
            summary=f"{found.num_leaks} leaks, which training leaves out; {splits}",
            result={"num_leaks": found.num_leaks, "splits": found.splits, "notes": list(found.notes)},
        )

    def train_live(self, _: Results, __: JSON) -> Outcome:
        """Train what is live further, on negatives that it mined itself."""
        return train_live(self.workspace, self._learning)

    def train_base(self, results: Results, _: JSON) -> Outcome:
        """Train the base: the twin that what live showed cannot have led astray."""
        return train_base(self.workspace, self._learning, is_alone=not results["train_live"])

    @property
    def _learning(self) -> Learning:
        return Learning(sources=self.options.sources, budget=self.options.budget, progress=self.progress)

    def evaluate(self, results: Results, _: JSON) -> Outcome:
        """Let dev choose among live and what was trained, and show the fresh slice."""
        made = [results[name].get("model_id") for name in ("train_live", "train_base")]
        candidates = [_named(self.workspace, each) for each in dict.fromkeys(filter(None, made))]
        if not candidates:
            why = "neither training made anything that is better on dev"
            return Outcome(summary=why, ends="nothing better", reasons=(why,))
        systems = [_baseline(self.workspace), *candidates]
        dev = _values(self.workspace, evaluate(self.workspace, systems, progress=self.progress, purpose="cycle"))
        fresh = self._fresh(systems)
        best = max(candidates, key=dev.__getitem__)
        said = ", ".join(f"{name} {value:.4f}" for name, value in dev.items())
        outcome = {"dev": dev, "fresh": fresh, "candidate": best}
        if dev[best] <= dev[systems[0]]:
            why = f"what was trained is no better than {systems[0]} on dev ({said})"
            return Outcome(summary=why, result=outcome, ends="nothing better", reasons=(why,))
        newest = ", ".join(f"{name} {value:.4f}" for name, value in fresh.items())
        return Outcome(
            summary=f"dev: {said}; {best} it is" + (f"; new queries, by clicks: {newest}" if newest else ""),
            result=outcome,
        )

    def _fresh(self, systems: Sequence[str]) -> dict[str, float]:
        """The systems on the new queries, by whoever judged them; live is favoured, for its results were clicked."""
        here = self.workspace.measured_by(("human", "import", "clicks"))
        if not any(each.grade > 0 for each in here.collection.judgments(FRESH)):
            return {}
        here = self.workspace.with_values(_WITHOUT_SLICES)  # queries of the log have no fields
        found = evaluate(here, systems, split=FRESH, judgments=_JUDGES, progress=self.progress, purpose="cycle")
        return _values(self.workspace, found)

    def gate(self, results: Results, _: JSON) -> Outcome:
        """Ask the gate, on test and in the suite; what it lets through becomes a release, not live yet."""
        found = promote(self.workspace, results["evaluate"]["candidate"], hold=True, progress=self.progress)
        why = "; ".join(found.reasons)
        result = {
            "verdict": found.verdict,
            "why": why,
            "release_id": found.release_id,
            "notes": list(found.notes),
            "metric": self.workspace.recipe.gate.measure,
            "measured": _intervals(self.workspace, found.evaluation) if found.evaluation else [],
        }
        if found.verdict == "refused":
            return Outcome(summary=f"refused: {why}", result=result, ends="refused", reasons=found.reasons)
        watched = "" if found.suite else "; no suite watches for what was forgotten (gate.suite)"
        return Outcome(summary=f"let through as {found.release_id}: {why}{watched}", result=result)

    def shadow(self, results: Results, begun: JSON) -> Outcome:
        """Ask the candidate beside live, where that is wanted."""
        if not self.options.shadow:
            return Outcome(summary="not asked for", is_skipped=True)
        candidate = str(results["evaluate"]["candidate"])
        return run_shadow(self.workspace, candidate, begun, share=self.options.shadow, progress=self.progress)

    def canary(self, results: Results, begun: JSON) -> Outcome:
        """Let the release answer some users, where that is wanted."""
        if not self.options.canary:
            return Outcome(summary="not asked for: the gate alone decides", is_skipped=True)
        release_id = str(results["gate"]["release_id"])
        name = f"turn {self.entry.number}"
        return run_canary(
            self.workspace, release_id, begun, name=name, share=self.options.canary, days=self.options.days
        )

    def promote(self, results: Results, _: JSON) -> Outcome:
        """Make the release live."""
        release_id = str(results["gate"]["release_id"])
        if self.workspace.registry.live_id() != release_id:  # it is, where this was cut short
            promote(self.workspace, release_id, progress=self.progress)
        return Outcome(summary=f"{release_id} is live", result={"release_id": release_id})

    def report(self, _: Results, __: JSON) -> Outcome:
        """Write the page."""
        return Outcome(summary=(path := report(self.workspace).report), result={"report": path})


_NO_EXPLORING = "search.explore is 0: users click on what live shows alone, so each turn learns what the last one liked"


def _live_before(workspace: Workspace, entry: CycleEntry) -> str | None:
    """What is live, but for what this turn itself made live before it was cut short."""
    gate = Cycles(workspace.database).stages(entry.cycle_id).get("gate")
    live_id = workspace.registry.live_id()
    return entry.live_release_id if gate and live_id == gate.result.get("release_id") else live_id


def _baseline(workspace: Workspace) -> str:
    return "live" if workspace.registry.live_id() else BASE


def _named(workspace: Workspace, model_id: str) -> str:
    """A model with the stages of what is live, so that it answers in the same way; alone where live has none."""
    live = workspace.registry.live()
    stages = [str(each) for each in live.system["stages"]] if live else []
    return "+".join([model_id, *stages]) if "bm25" not in stages else model_id


def _intervals(workspace: Workspace, found: Evaluation) -> list[JSON]:
    """The same with intervals, in the order of the systems: what is live, then the candidate."""
    metric = workspace.recipe.gate.measure
    return [{"system": each.system, **each.metrics[metric].to_dict()} for each in found.results]


def _values(workspace: Workspace, found: Evaluation) -> dict[str, float]:
    """What each system has in what the gate measures, by its name."""
    return {each.system: each.metrics[workspace.recipe.gate.measure].value for each in found.results}
