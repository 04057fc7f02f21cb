"""The loop on the functions of this machine's Python: two turns from what simulated users click, and the page."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nearer.core.errors import WorkspaceError
from nearer.core.progress import Progress, Silent
from nearer.core.results.loop import Cycle, LoopDemo, LoopTurn
from nearer.flows.add import add
from nearer.flows.cycle import cycle
from nearer.flows.demo import new_workspace
from nearer.flows.demo.corpus import StdlibFunction, stdlib_functions
from nearer.flows.demo.rows import QUICK, DemoRows, DemoSize, choose, held_out, write_rows
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.flows.simulate import simulate
from nearer.store.changing import move_to_split
from nearer.store.workspace import Workspace

NUM_TURNS = 2
KNOWN = 0.25
"""The share of the training queries that people judged; users ask for the others, turn by turn."""
LOOP = replace(
    QUICK,
    num_documents=2000,
    num_queries={"train": 1000, "dev": 150, "test": 400},
    train={**QUICK.train, "passes": 1},
)
"""Two turns, which are three trainings, in a quarter of an hour on two cores."""
SESSIONS = 15_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_BETWEEN = timedelta(days=30)


def demo_loop(
    folder: Path,
    *,
    size: DemoSize = LOOP,
    sessions: int = SESSIONS,
    functions: Sequence[StdlibFunction] = (),
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LoopDemo:
    """Let the base go live, and do two turns on what users click, who ask for new modules in the second.

    The users know which function answers each query; the workspace knows it of a quarter. ``folder`` is made anew if it
    holds an earlier demo. Raises WorkspaceError when it holds anything else.
    """
    progress, began = progress or Silent(), clock()
    sides = {module: side for side, modules in held_out().items() for module in modules}
    rows = choose(list(functions or stdlib_functions()), size, side_of=lambda module: sides.get(module, "train"))
    asked = _asked(rows, sides)
    with ExitStack() as opened:
        shop = opened.enter_context(new_workspace(folder, size))
        users = opened.enter_context(_users(folder, size, rows, asked))
        known = {query_id for queries in asked for query_id in queries}
        _fill(shop, _without(rows, known))
        shop = shop.with_values({"search.explore": 0.3})
        first = promote(shop, "base", progress=progress).evaluation
        assert first is not None, "a model was measured"
        base = first.results[0].metrics["nDCG@10"]
        turns = []
        for number in range(1, NUM_TURNS + 1):
            progress.say(f"turn {number}: {len(asked[number - 1])} queries that nobody judged are asked")
            log = shop.folder / "data" / f"turn-{number}.csv"
            log.unlink(missing_ok=True)
            simulate(
                shop,
                log,
                split=f"turn-{number}",
                sessions=sessions,
                seed=number,
                truth=users,
                start=_START + number * _BETWEEN,
                progress=progress,
            )
            add(shop, "events", log, progress=progress)
            turns.append(_turn(cycle(shop, progress=progress)))
        page = report(shop)
    return LoopDemo(base=base, turns=tuple(turns), report=page.report, duration_s=round(clock() - began, 1))


def _asked(rows: DemoRows, sides: dict[str, str]) -> list[list[str]]:
    """The training queries that users ask in each turn, whole modules a turn; a share is known and asked by nobody."""
    module_of = {str(each["_id"]): str(each["metadata"]["label_module"]) for each in rows["queries"]}  # type: ignore[index]
    training = [query_id for query_id, module in module_of.items() if sides.get(module, "train") == "train"]
    unknown = training[round(KNOWN * len(training)) :]
    modules = sorted({module_of[each] for each in unknown})
    turn_of = {module: place % NUM_TURNS for place, module in enumerate(modules)}
    return [[each for each in unknown if turn_of[module_of[each]] == turn] for turn in range(NUM_TURNS)]


def _without(rows: DemoRows, query_ids: set[str]) -> DemoRows:
    return {
        **rows,
        "queries": [each for each in rows["queries"] if each["_id"] not in query_ids],
        "judgments": [each for each in rows["judgments"] if each["query_id"] not in query_ids],
    }


def _users(folder: Path, size: DemoSize, rows: DemoRows, asked: list[list[str]]) -> Workspace:
    """What the users know: every judgment, and which queries are asked in which turn."""
    home = folder / "users"
    if home.exists() and not (home / ".nearer").is_dir():
        raise WorkspaceError(f"{home} is no earlier demo", hint="choose another: --dir DIR")
    shutil.rmtree(home, ignore_errors=True)
    users = new_workspace(home, size)
    _fill(users, rows)
    with users.write("demo") as connection:
        for number, query_ids in enumerate(asked, start=1):
            move_to_split(connection, f"turn-{number}", query_ids)
    return users


def _fill(workspace: Workspace, rows: DemoRows) -> None:
    for kind, path in write_rows(workspace, rows).items():
        add(workspace, kind, path)


def _turn(found: Cycle) -> LoopTurn:
    gate = next((each.result for each in found.stages if each.stage == "gate"), {})
    measured = gate.get("measured", ())
    return LoopTurn(
        number=found.number or 0,
        verdict=found.verdict,
        reasons=found.reasons,
        before=measured[0]["value"] if measured else None,
        after=measured[-1]["value"] if measured else None,
        release_id=found.release_id,
    )
