"""Four turns of the loop, beside those who do not turn: true nDCG@10 on human test judgments after each turn.

    python benchmarks/loop.py --work FOLDER --data FOLDER [--set-name medquad|demo] [--seeds 3] [--sessions N] ...

Users know every judgment of the training queries; the workspace knows a part (``--known``). In each turn simulated
users ask the service, over HTTP, for queries that nobody judged, of topics that are new in each turn. They look by
position and click with noise. Then ``nearer cycle`` learns. Beside the loop: base for ever, the loop stopped after its
first turn, and the loop on raw clicks (the model ctr), whose users are shown its own answers. After the last turn, in
copies: a turn that is poisoned, which the gate must stop, and a release that offline likes and users do not, which the
canary must roll back. Each cell is kept and not run again. Writes FOLDER/SET/loop.json and loop.svg, and prints tables.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

import nearer
from nearer.flows.cycle import stages
from nearer.flows.experiment import begin_experiment, experiment_report, guard_experiment
from nearer.flows.judge_clicks import judge_clicks
from nearer.online.plan import Plan
from nearer.printing.progress import ConsoleProgress
from nearer.store import tables
from nearer.store.changing import move_to_split
from nearer.web.app import make_app
from nearer.web.limits import Limits
from nearer.web.service import Service
from sets import GROUPS, add_size_arguments, cell, open_workspace

MAIN, TURNS = "nDCG@10", 4
ARMS = ("loop", "raw clicks")
EXPLORE, NOISE = 0.3, 0.1


def main() -> None:
    """Run what is missing; write the numbers and the picture, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_arguments(parser, documents=1500, train=800, test=300)
    parser.add_argument("--set-name", default="medquad")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=8000, help="searches of a turn")
    parser.add_argument("--known", type=float, default=0.2, help="share of the training queries that people judged")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores ({platform.machine()}), {arguments.set_name}, {arguments.sessions:,} sessions\n")
    measured = [seed_of(seed, arguments) for seed in range(arguments.seeds)]
    folder = arguments.work / arguments.set_name
    curves = {name: [[mean(turn) for turn in one[name]] for one in measured] for name in ("base", "stopped", *ARMS)}
    (folder / "loop.json").write_text(json.dumps({"curves": curves, "seeds": measured}), encoding="utf-8")
    (folder / "loop.svg").write_text(picture(curves), encoding="utf-8")
    print("\n".join([*table(measured), "", *events(measured)]))


def seed_of(seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every arm of a seed: values of test queries after each turn, from base on; and what the two copies did."""
    folder = arguments.work / arguments.set_name / f"seed-{seed}"
    with closing(opened(folder / "users", seed, arguments)) as users:
        asked = cell(folder / "asked.json", partial(divide, users, seed, arguments))["asked"]
        found: dict[str, Any] = {}
        for arm in ARMS:
            with closing(shop_of(folder, arm, seed, arguments, asked)) as shop:
                base = cell(folder / arm / "turn-0.json", partial(begun, shop))
                turns = [turned(shop, users, folder, arm, turn, seed, arguments) for turn in range(1, TURNS + 1)]
            found[arm] = [each["values"] for each in (base, *turns)]
            found[f"{arm} verdicts"] = [each["verdict"] for each in turns]
        found["base"] = [found["loop"][0]] * (TURNS + 1)
        found["stopped"] = [found["loop"][0], *[found["loop"][1]] * TURNS]
        for name, run in (("poisoned", poisoned), ("canary", canary)):
            found[name] = cell(folder / f"{name}.json", partial(run, folder, users, seed, arguments))
        found["date"] = base["date"]
    return found


def opened(folder: Path, seed: int, arguments: argparse.Namespace) -> nearer.Workspace:
    """A workspace of the set, filled."""
    settings = (f"train.seed={seed}", f"search.explore={EXPLORE}", "train.passes=1")
    return open_workspace(arguments.set_name, folder, arguments, *settings)


def divide(users: nearer.Workspace, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Which training queries are asked in each turn, by whole topics, and not known to people."""
    rng, group = np.random.default_rng(seed), GROUPS.get(arguments.set_name)
    queries = users.collection.queries("train")
    topics = {query.query_id: str(query.metadata.get(group or "") or query.query_id) for query in queries}
    known = set(rng.permutation(sorted(topics))[: round(arguments.known * len(topics))].tolist())
    names = rng.permutation(sorted(set(topics.values()))).tolist()
    turn_of = {name: place % TURNS for place, name in enumerate(names)}
    asked = [[each for each in topics if each not in known and turn_of[topics[each]] == turn] for turn in range(TURNS)]
    with users.write("benchmark") as connection:
        for turn, query_ids in enumerate(asked, start=1):
            move_to_split(connection, f"turn-{turn}", query_ids)
    return {"asked": asked}


def shop_of(
    folder: Path, arm: str, seed: int, arguments: argparse.Namespace, asked: Sequence[Sequence[str]]
) -> nearer.Workspace:
    """The workspace of an arm: as that of the users, without the queries that nobody knows there."""
    home = folder / arm / "shop"
    if not (home / "import.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        with closing(opened(home, seed, arguments)) as shop:
            gone = [query_id for query_ids in asked for query_id in query_ids]
            with shop.write("benchmark") as connection:
                for name in (tables.judgments, tables.split_members, tables.queries):
                    for start in range(0, len(gone), 500):
                        connection.execute(name.delete().where(name.c.query_id.in_(gone[start : start + 500])))
    return opened(home, seed, arguments)


def begun(shop: nearer.Workspace) -> dict[str, Any]:
    """Base goes live."""
    if shop.registry.live_id() is None:
        nearer.promote(shop, "base", progress=ConsoleProgress())
    return {"values": on_test(shop)}


def turned(
    shop: nearer.Workspace,
    users: nearer.Workspace,
    folder: Path,
    arm: str,
    turn: int,
    seed: int,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Users ask the service and click; the loop turns; what is live then is measured."""
    asked = partial(ask, shop, users, turn, seed, arguments)
    cell(folder / arm / f"turn-{turn}-asked.json", asked)
    return cell(folder / arm / f"turn-{turn}.json", partial(turn_of, shop, arm))


def ask(
    shop: nearer.Workspace, users: nearer.Workspace, turn: int, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Users ask the service for the queries of a turn, and click."""
    with serving(shop) as url:
        asked = {"split": f"turn-{turn}", "sessions": arguments.sessions, "noise": NOISE, "seed": 100 * seed + turn}
        return nearer.simulate(shop, url, truth=users, progress=ConsoleProgress(), **asked).to_dict()


def turn_of(shop: nearer.Workspace, arm: str) -> dict[str, Any]:
    """One turn, and what is live after it; where it had ended before this was cut short, that turn."""
    with judging(arm):
        done = nearer.cycle(shop, progress=ConsoleProgress())
    if done.verdict == "nothing to learn":
        done = nearer.cycles(shop).cycles[0]
    assert done.verdict in ("promoted", "refused", "nothing better"), done
    return {"values": on_test(shop), "verdict": done.verdict, "cycle": done.to_dict()}


@contextmanager
def judging(arm: str) -> Iterator[None]:
    """Clicks are judged as the arm wants: as they are, or as the log lets them be corrected."""
    judge = stages.judge_clicks
    stages.judge_clicks = partial(judge_clicks, model="ctr") if arm == "raw clicks" else judge  # type: ignore[assignment]
    try:
        yield
    finally:
        stages.judge_clicks = judge


@contextmanager
def serving(shop: nearer.Workspace) -> Iterator[str]:
    """The service of a workspace, in a thread of this process, ready."""
    service = Service(shop, limits=Limits())
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(make_app(service), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until = time.monotonic() + 300
        while not _is_ready(url):
            assert time.monotonic() < until, "the service did not become ready"
            time.sleep(0.2)
        yield url
    finally:
        server.should_exit = True
        thread.join()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def on_test(shop: nearer.Workspace) -> dict[str, float]:
    """The main measure of what is live on every test query."""
    found = nearer.evaluate(shop, ["live"], split="test", progress=ConsoleProgress(), purpose="benchmark")
    return dict(found.results[0].by_query[MAIN])


def copy_of(folder: Path, name: str, seed: int, arguments: argparse.Namespace) -> nearer.Workspace:
    """The loop's workspace after its last turn, to be spoilt."""
    home = folder / name
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(folder / "loop" / "shop", home)
    return opened(home, seed, arguments)


def liked_by_live(shop: nearer.Workspace, users: nearer.Workspace, split: str) -> dict[str, str]:
    """For each query of a split the best document of live that is no right answer."""
    right: dict[str, set[str]] = {}
    for each in users.collection.judgments(split):
        right.setdefault(each.query_id, set()).add(each.doc_id)
    with nearer.Searcher.open(shop) as searcher:
        found = {}
        for query in users.collection.queries(split):
            hits = [hit.document.doc_id for hit in searcher.search(query.text, k=10).hits]
            found[query.query_id] = next(each for each in hits if each not in right.get(query.query_id, ()))
    return found


@contextmanager
def other_users(
    folder: Path, users: nearer.Workspace, wanted: Mapping[str, str], seed: int, arguments: argparse.Namespace
) -> Iterator[nearer.Workspace]:
    """Users to whom these documents are the answers."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(users.folder.parent, folder)
    with closing(opened(folder, seed, arguments)) as others:
        table = tables.judgments
        grade = max(each.grade for each in users.collection.judgments())
        rows = [
            {"query_id": query_id, "doc_id": doc_id, "source": "import", "rater": "", "grade": grade}
            | {"weight": 1.0, "at": "", "document_hash": ""}
            for query_id, doc_id in wanted.items()
        ]
        with others.write("benchmark") as connection:
            connection.execute(table.delete().where(table.c.query_id.in_(list(wanted))))
            connection.execute(table.insert(), rows)
        yield others


def poisoned(folder: Path, users: nearer.Workspace, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Many users click what is no answer, for queries of all turns; the turn learns from clicks alone."""
    with closing(copy_of(folder, "poisoned", seed, arguments)) as shop:
        before = shop.registry.live_id()
        wanted = {
            key: value
            for turn in range(1, TURNS + 1)
            for key, value in liked_by_live(shop, users, f"turn-{turn}").items()
        }
        with other_users(folder / "poisoners", users, wanted, seed, arguments) as others, serving(shop) as url:
            for turn in range(1, TURNS + 1):
                asked = {"split": f"turn-{turn}", "sessions": arguments.sessions, "noise": 0.0, "seed": 900 + turn}
                nearer.simulate(shop, url, truth=others, progress=ConsoleProgress(), **asked)
        done = nearer.cycle(shop, sources="clicks", progress=ConsoleProgress())
        return {
            "verdict": done.verdict,
            "reasons": done.reasons,
            "is_live_as_before": shop.registry.live_id() == before,
        }


def canary(folder: Path, users: nearer.Workspace, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The first release is live again, whose users want what it ranks; the loop's release, better on test, is tried.

    So judgments are stale: what people judged is not what users want.
    """
    with closing(copy_of(folder, "canary", seed, arguments)) as shop:
        better = shop.registry.live_id()
        first = shop.registry.first_live()
        assert first is not None
        if better == first.release_id:
            return {"verdict": "no release beside base"}
        nearer.promote(shop, first.release_id, progress=ConsoleProgress())
        wanted = liked_by_live(shop, users, "turn-1")
        plan = Plan(
            name="canary",
            hypothesis="what is better on test is better for users",
            kind="canary",
            treatment=better,
            share=0.5,
            days=14,
            sequential=True,
        )
        with other_users(folder / "changed", users, wanted, seed, arguments) as others, serving(shop) as url:
            begin_experiment(shop, plan)
            experiment_id = str(nearer.experiments(shop).experiments[0].experiment_id)
            asked = {"split": "turn-1", "sessions": 2 * arguments.sessions, "noise": 0.0, "seed": seed}
            nearer.simulate(shop, url, truth=others, progress=ConsoleProgress(), **asked)  # the service's guard looks
            guard_experiment(shop)
        found = experiment_report(shop, experiment_id)
        began, ended = found.experiment.started_at, found.experiment.ended_at
        lived = datetime.fromisoformat(ended) - datetime.fromisoformat(began) if ended else None
        return {
            "verdict": found.verdict,
            "state": found.experiment.state,
            "reason": found.experiment.reason,
            "offline": found.offline,
            "minutes": round(lived / timedelta(minutes=1), 1) if lived else None,
            "num_users": found.num_units,
            "is_live_as_before": shop.registry.live_id() == first.release_id,
        }


def mean(values: Mapping[str, float]) -> float:
    """The mean over queries."""
    return float(np.mean(list(values.values())))


def table(measured: list[dict[str, Any]]) -> Iterator[str]:
    """The mean of each arm by turn over seeds and queries, and its difference from the turn before."""
    yield f"{len(measured)} seeds, {len(measured[0]['base'][0])} queries of test, {measured[0]['date']}\n"
    yield f"| arm | base | {' | '.join(f'turn {turn}' for turn in range(1, TURNS + 1))} | minus base | minus stopped |"
    yield f"{'| --- ' * (TURNS + 4)}|"
    for name in ("base", "stopped", *ARMS):
        means = [np.mean([mean(one[name][turn]) for one in measured]) for turn in range(TURNS + 1)]
        last = [one[name][-1] for one in measured]
        beside = [difference(last, [one[other][-1] for one in measured]) for other in ("base", "stopped")]
        yield f"| {name} | {' | '.join(f'{each:.3f}' for each in means)} | {' | '.join(beside)} |"
    yield ""
    for turn in range(1, TURNS + 1):
        step = difference(*([one["loop"][each] for one in measured] for each in (turn, turn - 1)))
        verdicts = ", ".join(one["loop verdicts"][turn - 1] for one in measured)
        yield f"- the loop, turn {turn}: {step} ({verdicts})"


def difference(left: Sequence[Mapping[str, float]], right: Sequence[Mapping[str, float]]) -> str:
    """The mean difference, with an interval by resampling queries, each with all its seeds."""
    ids = sorted(left[0])
    values_Q = np.mean([[one[key] - other[key] for key in ids] for one, other in zip(left, right, strict=True)], axis=0)
    rng = np.random.default_rng(0)
    draws = [values_Q[rng.integers(len(ids), size=len(ids))].mean() for _ in range(2000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{values_Q.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def events(measured: list[dict[str, Any]]) -> Iterator[str]:
    """What became of the poisoned turns and of the canaries."""
    for number, one in enumerate(measured):
        yield f"- seed {number}, poisoned: {one['poisoned']['verdict']}; {'; '.join(one['poisoned']['reasons'])}"
        found = one["canary"]
        users = f", {found['minutes']} min, {found['num_users']}" if "minutes" in found else ""
        yield f"- seed {number}, canary: {found['verdict']}{users}; {found.get('reason')}"


def picture(curves: Mapping[str, list[list[float]]]) -> str:
    """The mean of each arm over turns, as SVG."""
    means = {name: np.mean(values, axis=0).tolist() for name, values in curves.items()}
    low, high = min(map(min, means.values())), max(map(max, means.values()))
    span = max(high - low, 1e-3)
    colours = dict(zip(means, ("#777777", "#b36b00", "#0b6e4f", "#7a3e9d"), strict=True))
    body = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 320" role="img" font-size="12"']
    body.append(
        f' font-family="sans-serif"><title>{MAIN} on test by turn</title><rect width="640" height="320" fill="white"/>'
    )
    for turn in range(TURNS + 1):
        body.append(
            f'<text x="{50 + turn * 110}" y="310" text-anchor="middle">{"base" if not turn else f"turn {turn}"}</text>'
        )
    ends: list[float] = []
    for name, values in means.items():
        places = [(50 + turn * 110, 280 - 250 * (value - low) / span) for turn, value in enumerate(values)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        y = places[-1][1]
        while any(abs(y - each) < 14 for each in ends):
            y += 14
        ends.append(y)
        body.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        body.append(
            f'<text x="{places[-1][0] + 8}" y="{y + 4:.1f}" fill="{colours[name]}">{name} {values[-1]:.3f}</text>'
        )
    return "".join([*body, "</svg>\n"])


if __name__ == "__main__":
    main()
