"""Simulated experiments: false alarms of daily looks, power, CUPED, sample ratios, interleaving.

    python benchmarks/experiments.py [--runs 2000] [--seed 0]

Users differ in traffic by a log-normal law; each belongs to one arm for all days, and a day adds new users and new
clicks of old ones. A value is a user's clicks so far. Prints Markdown tables. One core, some minutes.
"""

import argparse
from math import sqrt
from random import Random

import numpy as np
from scipy.stats import norm

from nearer.core.errors import InputError
from nearer.online.assign import sample_ratio
from nearer.online.compare import compare, compare_means
from nearer.online.cuped import adjust
from nearer.online.interleave import interleaving_preference, team_draft, winner
from nearer.online.moments import Moments

DAYS, USERS_A_DAY = 30, 300


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    looks(rng, runs=arguments.runs)
    cuped(rng)
    ratios(rng, runs=arguments.runs)
    interleaving(rng, seed=arguments.seed, runs=min(arguments.runs, 300))


def days(rng: np.random.Generator, *, lift: float) -> list[tuple[tuple[int, float, float], tuple[int, float, float]]]:
    """The sums of both arms after each day: (users, sum of clicks, sum of their squares) of control, of treatment."""
    number = DAYS * USERS_A_DAY
    arm_U = rng.integers(0, 2, number)
    rate_U = rng.lognormal(-1.0, 1.0, number) * np.where(arm_U == 1, 1 + lift, 1.0)
    total_U, found = np.zeros(number), []
    for day in range(1, DAYS + 1):
        there = day * USERS_A_DAY
        total_U[:there] += rng.poisson(rate_U[:there])
        sums = []
        for arm in (0, 1):
            values = total_U[:there][arm_U[:there] == arm]
            sums.append((len(values), float(values.sum()), float((values**2).sum())))
        found.append((sums[0], sums[1]))
    return found


def looks(rng: np.random.Generator, *, runs: int) -> None:
    """How often an experiment says "a difference", looked at once a day and stopped then."""
    print(f"| true lift | z-test, daily | z-test, last day | sequence, daily | its mean day |\n{'| --- ' * 5}|")
    for lift in (0.0, 0.05, 0.1, 0.2):
        peeked = last = sequence = 0
        stopped = []
        for _ in range(runs if not lift else runs // 4):
            at = [(abs(z(*each)) > norm.isf(0.025), said(each)) for each in days(rng, lift=lift)]
            peeked += any(plain for plain, _ in at)
            last += at[-1][0]
            if hits := [day for day, (_, sure) in enumerate(at, start=1) if sure]:
                sequence += 1
                stopped.append(hits[0])
        number = runs if not lift else runs // 4
        mean_day = f"{np.mean(stopped):.0f}" if stopped else "-"
        print(
            f"| {lift:.0%} | {peeked / number:.1%} | {last / number:.1%} | {sequence / number:.1%} | {mean_day} |",
            flush=True,
        )


def z(control: tuple[int, float, float], treatment: tuple[int, float, float]) -> float:
    """The statistic of a plain z-test."""
    arms = [Moments.of_sums(*each, name="arm") for each in (control, treatment)]
    error = sqrt(sum(each.variance / each.num for each in arms))
    return (arms[1].mean - arms[0].mean) / error


def said(sums: tuple[tuple[int, float, float], tuple[int, float, float]]) -> bool:
    """Whether the confidence sequence excludes no effect."""
    return compare_means(*sums, sequential=True, tuning=DAYS * USERS_A_DAY / 2).p_value < 0.05


def cuped(rng: np.random.Generator) -> None:
    """What CUPED takes off the variance, beside the squared correlation."""
    print(f"\n| correlation | its square | variance removed |\n{'| --- ' * 3}|")
    for rho in (0.3, 0.5, 0.7, 0.9):
        arms = []
        for _ in range(2):
            past = rng.standard_normal(20_000)
            arms.append((rho * past + sqrt(1 - rho**2) * rng.standard_normal(20_000), past))
        found = adjust(*arms)
        fallen = 1 - found.treatment.variance / arms[1][0].var(ddof=1)
        print(f"| {rho} | {rho**2:.3f} | {fallen:.3f} |", flush=True)


def ratios(rng: np.random.Generator, *, runs: int) -> None:
    """How often a split raises the sample-ratio alarm."""
    print(f"\n| true split | users | alarms |\n{'| --- ' * 3}|")
    for share in (0.5, 0.51, 0.52):
        for num in (2_000, 10_000):
            drawn = rng.binomial(num, share, runs)
            alarms = sum(sample_ratio({"a": int(a), "b": num - int(a)}, {"a": 1, "b": 1}).is_alarm for a in drawn)
            print(f"| {share:.0%} / {1 - share:.0%} | {num:,} | {alarms / runs:.1%} |", flush=True)


def interleaving(rng: np.random.Generator, *, seed: int, runs: int) -> None:
    """Impressions until a better ranking is known: interleaved lists, and an A/B test of clicks a search.

    Ten results; a user looks at rank r with probability 1 / r, and clicks on a relevant result they see with 0.8, on
    another with 0.1. Both rank the same documents; the better one has the two relevant ones a rank higher.
    """
    random = Random(seed)
    relevant = {"r0", "r1"}
    better = ["x0", "x1", "r0", "x2", "r1", "x3", "x4", "x5", "x6", "x7"]
    worse = ["x0", "x1", "x2", "r0", "x3", "r1", "x4", "x5", "x6", "x7"]
    print(f"\n| impressions | interleaving finds it | an A/B test finds it |\n{'| --- ' * 3}|")
    for num in (50, 100, 200, 500, 1_000, 2_000, 5_000):
        lists = tests = 0
        for _ in range(runs if num <= 1000 else runs // 3):
            lists += preferred(better, worse, relevant, num, random)
            tests += tested(better, worse, relevant, num, rng)
        number = runs if num <= 1000 else runs // 3
        print(f"| {num:,} | {lists / number:.0%} | {tests / number:.0%} |", flush=True)


def clicks(ranking: list[str], relevant: set[str], random: Random) -> set[str]:
    """What a user clicks on."""
    return {
        doc_id
        for rank, doc_id in enumerate(ranking, start=1)
        if random.random() < (0.8 if doc_id in relevant else 0.1) / rank
    }


def preferred(better: list[str], worse: list[str], relevant: set[str], num: int, random: Random) -> bool:
    """Whether as many interleaved lists show the better ranking to be better."""
    found = {"a": 0, "b": 0, "tie": 0}
    for _ in range(num):
        shown = team_draft(better, worse, k=10, rng=random)
        found[winner(shown, clicks([each.doc_id for each in shown], relevant, random))] += 1
    try:
        effect = interleaving_preference(found["a"], found["b"], found["tie"])
    except InputError:
        return False
    return effect.effect > 0 and effect.p_value < 0.05


def tested(better: list[str], worse: list[str], relevant: set[str], num: int, rng: np.random.Generator) -> bool:
    """Whether an A/B test of as many impressions, half an arm, shows more searches with a click."""
    arms = []
    for ranking in (worse, better):
        chances = [(0.8 if doc_id in relevant else 0.1) / rank for rank, doc_id in enumerate(ranking, start=1)]
        clicked = (rng.random((num // 2, len(chances))) < chances).any(axis=1)
        arms.append(Moments.of_successes(num // 2, int(clicked.sum()), name="arm"))
    effect = compare(*arms)
    return effect.effect > 0 and effect.p_value < 0.05


if __name__ == "__main__":
    main()
