"""Stages: what is kept, what is done again, what ends a turn, and what stays once users have met it."""

import pytest

from nearer.html_report.data import ReportData
from nearer.html_report.loop import TurnData
from nearer.html_report.view import render
from nearer.store.cycles import Cycles, StageEntry
from nearer.store.workspace import Workspace
from nearer.turns.stages import Outcome, Stage, planned_steps, run_stages


class Turn:
    """Stages that note when they are done; ``data`` decides what the second of them is given."""

    def __init__(self, folder, **changes):
        self.cycles = Cycles(Workspace.init(folder).database)
        self.entry = self.cycles.begin({"num_searches": 3}, live_release_id=None)
        self.data, self.done, self.changes = 1, [], changes

    def run(self, until=None):
        names = ("collect", "judge", "gate", "shadow", "promote", "report")
        stages = [self._stage(name) for name in names]
        self.done = []
        return run_stages(self.cycles, self.entry, stages, until=until, say=lambda text: None)

    def _stage(self, name):
        def work(results, begun):
            self.done.append((name, dict(begun)))
            return Outcome(**{"summary": name, "result": {"data": self.data}, **self.changes.get(name, {})})

        inputs = (lambda: {"data": self.data}) if name == "judge" else dict
        return Stage(name=name, work=work, inputs=inputs, settles=name in ("shadow", "promote"))

    @property
    def names(self):
        return [name for name, _ in self.done]


def test_what_was_done_is_kept_and_what_changed_is_done_again_with_all_that_follows(tmp_path):
    turn = Turn(tmp_path / "w", shadow={"is_skipped": True})
    stopped = turn.run(until="judge")
    assert (stopped.verdict, turn.names) == ("stopped", ["collect", "judge"])
    assert [each.state for each in planned_steps(("judge", "gate"), turn.cycles.stages(turn.entry.cycle_id))] == [
        "kept",
        "to do",
    ]
    turn.data = 2
    ran = turn.run(until="gate")
    assert turn.names == ["judge", "gate"]
    assert [each.state for each in ran.steps] == ["kept", "done", "done"]
    ran = turn.run()
    assert (ran.verdict, turn.names) == (None, ["shadow", "promote", "report"])
    assert [each.state for each in turn.run().steps] == ["kept", "kept", "kept", "skipped", "kept", "kept"]
    assert turn.names == []


def test_what_waits_is_asked_again_and_nothing_before_it_is_done_again(tmp_path):
    turn = Turn(tmp_path / "w", shadow={"waits": True})
    assert turn.run().verdict == "waiting"
    turn.data = 2
    assert turn.run().verdict == "waiting"
    assert turn.done == [("shadow", {"data": 1})], "users have met what the stages before gave"
    turn.changes = {}
    assert turn.run().verdict is None
    assert turn.names == ["shadow", "promote", "report"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_verdict_leaves_out_all_but_the_last(tmp_path, times):
    turn = Turn(tmp_path / "w", gate={"ends": "refused", "reasons": ("no gain",)})
    found = [turn.run() for _ in range(times)][-1]
    assert (found.verdict, found.reasons) == ("refused", ("no gain",))
    assert [each.stage for each in found.steps] == ["collect", "judge", "gate", "report"]


def test_turns_are_numbered_and_one_has_not_ended(tmp_path):
    turn = Turn(tmp_path / "w")
    assert turn.cycles.unfinished() == turn.entry
    assert turn.cycles.last() is None
    ended = turn.cycles.end(turn.entry.cycle_id, verdict="promoted", reasons=("rose",))
    assert turn.cycles.unfinished() is None
    assert turn.cycles.last() == ended
    assert turn.cycles.begin({}, live_release_id="r").number == 2
    assert [each.number for each in turn.cycles.all()] == [2, 1]


def test_the_page_shows_the_rise(tmp_path):
    turn = Turn(tmp_path / "w")
    sides = [
        {"system": name, "value": value, "low": value - 0.02, "high": value + 0.02}
        for name, value in (("live", 0.5), ("m", 0.55))
    ]
    gate = StageEntry(
        stage="gate",
        input_hash="i",
        state="done",
        summary="",
        result={"metric": "nDCG@10", "measured": sides},
        at="2026-11-30T00:00:00+00:00",
        took_s=1.0,
    )
    ended = turn.cycles.end(turn.entry.cycle_id, verdict="promoted", reasons=("<b>rose</b>",))
    data = [TurnData(entry=ended, stages={"gate": gate})]
    page = render(ReportData(name="x", generated_at="2026-11-30T00:00:00+00:00", version="0", turns=data))
    assert "turn 1: 0.500, then 0.550" in page
    assert "<b>rose" not in page
