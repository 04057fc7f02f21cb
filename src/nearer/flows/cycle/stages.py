"""What each stage of a turn does: the verbs, called in their order."""

from dataclasses import dataclass
from typing import get_args

from nearer.core.errors import InputError
from nearer.core.progress import Progress
from nearer.core.results.base import JSON
from nearer.core.results.loop import CycleStage
from nearer.flows.check import check
from nearer.flows.cycle.measuring import ask_gate, choose_candidate
from nearer.flows.cycle.training import Learning, train_base, train_live
from nearer.flows.cycle.users import run_canary, run_shadow
from nearer.flows.judge_clicks import judge_clicks
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.signals.log import read_log
from nearer.store.cycles import CycleEntry, Cycles
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace
from nearer.turns.fresh import hold_fresh, release_fresh
from nearer.turns.news import data_id
from nearer.turns.stages import Outcome, Results, Stage

STAGES: tuple[CycleStage, ...] = get_args(CycleStage)


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
        return choose_candidate(self.workspace, list(dict.fromkeys(filter(None, made))), self.progress)

    def gate(self, results: Results, _: JSON) -> Outcome:
        """Ask the gate, on test and in the suite; what it lets through becomes a release, not live yet."""
        return ask_gate(self.workspace, str(results["evaluate"]["candidate"]), self.progress)

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
