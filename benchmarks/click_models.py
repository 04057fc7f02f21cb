"""How well click models find what simulated users do, over seeds; and the pictures of docs/explanation/clicks.md.

    python benchmarks/click_models.py [--seeds 5] [--sessions 50000] [--pictures docs/explanation]

40 queries with ten documents, whose attraction is drawn from Beta(1, 3). A ranker orders them by it, with noise. Users
look at rank k with a chance of 1/k. Errors are those of propensities relative to the first rank.
"""

import argparse
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from nearer.core.arrays import Floats64
from nearer.signals.choose import ModelName, choose_model, fit_model, propensities
from nearer.signals.click_log import ClickLog, build_log
from nearer.signals.click_models import Examination
from nearer.signals.propensities import find_links
from nearer.signals.simulate import USER_MODELS, UserModel, Users, clicks_of

NUM_RANKS, NUM_QUERIES = 10, 40
LOOKS = 1 / np.arange(1, NUM_RANKS + 1)
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A log, and the true attraction of each of its pairs."""

    log: ClickLog
    attract_P: Floats64


def drawn(seed: int, sessions: int, *, rankers: int = 1, swaps: float = 0.0, users: UserModel = "position") -> Drawn:
    """A log of so many rankers, with neighbours swapped in a share of the answers."""
    rng, stated = np.random.default_rng(seed), Users(model=users)
    attract_QD = rng.beta(1, 3, (NUM_QUERIES, NUM_RANKS))
    rankings = [np.argsort(rng.normal(0, 0.25, attract_QD.shape) - attract_QD, axis=1) for _ in range(rankers)]
    query_L = rng.integers(0, NUM_QUERIES, sessions)
    order_LR = np.stack(rankings)[rng.integers(0, rankers, sessions), query_L]
    swapped_L = np.flatnonzero(rng.random(sessions) < swaps)
    at_L = rng.integers(0, NUM_RANKS - 1, len(swapped_L))
    order_LR[swapped_L[:, None], at_L[:, None] + [0, 1]] = order_LR[swapped_L[:, None], at_L[:, None] + [1, 0]]
    clicked_LR = [clicks_of(stated, attract_QD[q, order], rng) for q, order in zip(query_L, order_LR, strict=True)]
    log = build_log(
        [f"s{number}" for number in np.repeat(np.arange(sessions), NUM_RANKS)],
        [f"q{number}" for number in np.repeat(query_L, NUM_RANKS)],
        [f"d{number}" for number in order_LR.ravel()],
        np.tile(np.arange(NUM_RANKS), sessions),
        np.concatenate(clicked_LR),
    )
    return Drawn(log=log, attract_P=np.array([attract_QD[int(q[1:]), int(d[1:])] for q, d in log.pairs]))


def errors(one: Drawn, name: ModelName) -> Floats64:
    """How far the propensity of each rank is from the truth."""
    cells = one.log.cells()
    found = propensities(name, fit_model(name, one.log, cells), find_links(cells))
    return np.abs(np.array([np.nan if each is None else each for each in found]) - LOOKS)


def tau(one: Drawn, name: ModelName) -> float:
    """Kendall's tau of a model's attraction with the true one."""
    model = fit_model(name, one.log, one.log.cells())
    return float(kendalltau(model.attraction_P[: len(one.attract_P)], one.attract_P).statistic)


def identified(seeds: int, sessions: int) -> list[str]:
    """The table of users who behave as the model says."""
    rows = ["| log | model | worst error of each seed | mean error of each seed |", "| --- | --- | --- | --- |"]
    for title, name, settings in (
        ("two rankers", "pbm", {"rankers": 2}),
        ("one ranker, 20 % swapped", "harvest", {"swaps": 0.2}),
    ):
        each = [errors(drawn(seed, sessions, **settings), name) for seed in range(seeds)]
        worst, mean = ([f"{value:.3f}" for value in by] for by in ([e.max() for e in each], [e.mean() for e in each]))
        rows.append(f"| {title} | {name} | {', '.join(worst)} | {', '.join(mean)} |")
    cells = [drawn(seed, sessions).log.cells() for seed in range(seeds)]
    refused = sum(choose_model("auto", each, find_links(each)).model is None for each in cells)
    return [*rows, f"| one ranker | refused | {refused} of {seeds} seeds | |"]


def broken(seeds: int, sessions: int) -> list[str]:
    """The table of each kind of users, two rankers: the error of EM, and the order that each model finds."""
    names: tuple[ModelName, ...] = ("pbm", "sdbn", "coec", "ctr")
    rows = [f"| users | mean error, pbm | {' | '.join(f'tau, {name}' for name in names)} |", "| --- |" + " --- |" * 5]
    for users in USER_MODELS:
        logs = [drawn(seed, sessions, rankers=2, users=users) for seed in range(seeds)]
        error = np.mean([errors(each, "pbm").mean() for each in logs])
        found = [f"{np.mean([tau(each, name) for each in logs]):.3f}" for name in names]
        rows.append(f"| {users} | {error:.3f} | {' | '.join(found)} |")
    return rows


def picture(title: str, lines: Sequence[tuple[str, Floats64]], *, most: float) -> str:
    """Lines over ranks, as SVG whose text takes the colour of the page."""
    left, top, wide, high = 44, 16, 420, 200
    body = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {high + 64}" role="img" font-size="12"']
    body.append(f' font-family="system-ui, sans-serif"><title>{escape(title)}</title>')
    body.append(f'<rect width="640" height="{high + 64}" fill="#ffffff"/>')
    for step in range(5):
        y = top + high * (1 - step / 4)
        body.append(f'<path d="M{left} {y:.1f}h{wide}" stroke="#dddddd"/>')
        body.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{most * step / 4:.2f}</text>')
    places = [left + wide * rank / (NUM_RANKS - 1) for rank in range(NUM_RANKS)]
    body += [
        f'<text x="{x:.1f}" y="{top + high + 18}" text-anchor="middle">{n}</text>' for n, x in enumerate(places, 1)
    ]
    body.append(f'<text x="{left + wide / 2}" y="{top + high + 38}" text-anchor="middle">rank</text>')
    for number, (name, value_R) in enumerate(lines):
        y_R = top + high * (1 - np.minimum(value_R, most) / most)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(places, y_R, strict=True))
        dash = ' stroke-dasharray="5 4"' if number == 0 else ""
        body.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" stroke-width="2"{dash}/>')
        at = top + 12 + 22 * number
        body.append(f'<path d="M{left + wide + 16} {at}h20" stroke="{COLOURS[number]}" stroke-width="2"{dash}/>')
        body.append(f'<text x="{left + wide + 42}" y="{at + 4}">{escape(name)}</text>')
    return "".join([*body, "</svg>\n"])


def draw(folder: Path, sessions: int) -> None:
    """The two pictures: where equal documents are clicked, and the propensities that each log gives."""
    rng, equal_R = np.random.default_rng(0), np.full(NUM_RANKS, 0.5)
    shares = [
        (name, np.mean([clicks_of(Users(model=name), equal_R, rng) for _ in range(sessions)], axis=0))
        for name in USER_MODELS
    ]
    title = "How often ten equally good documents are clicked on, by rank"
    lines = [("equally good", equal_R), *((f"users: {name}", rate_R) for name, rate_R in shares)]
    (folder / "clicks-by-rank.svg").write_text(picture(title, lines, most=0.8), encoding="utf-8")
    two, swapped = drawn(0, sessions, rankers=2), drawn(0, sessions, swaps=0.2)
    found = [("truth", LOOKS)]
    for name, model, one in (("two rankers, EM", "pbm", two), ("swaps, harvested", "harvest", swapped)):
        found.append((name, _relative(one, model)))
    found.append(("one ranker, raw", _relative(drawn(0, sessions), "rank_ctr")))
    title = "How likely users look at a rank, relative to the first"
    (folder / "clicks-propensities.svg").write_text(picture(title, found, most=1.0), encoding="utf-8")


def _relative(one: Drawn, name: ModelName) -> Floats64:
    model = fit_model(name, one.log, one.log.cells())
    assert isinstance(model, Examination)
    relative_R: Floats64 = model.examination_R / model.examination_R[0]
    return relative_R


def main() -> None:
    """Print both tables, and draw where a folder is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--pictures", type=Path, help="the folder that pictures are written to")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores ({platform.machine()}), {arguments.sessions:,} sessions, {date.today()}\n")
    for table in (identified, broken):
        print("\n".join([*table(arguments.seeds, arguments.sessions), ""]), flush=True)
    if arguments.pictures:
        draw(arguments.pictures, arguments.sessions)


if __name__ == "__main__":
    main()
