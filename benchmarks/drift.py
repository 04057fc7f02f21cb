"""How often `nearer drift` alarms where nothing changed, and how often where something did.

    python benchmarks/drift.py [--runs 2000] [--seed 0]

Persons of very unequal traffic, half of whom search in both periods. Queries are points around 20 topics, of which
each person has two. Prints a Markdown table. One core, some minutes.
"""

import argparse
from math import sqrt

import numpy as np

from nearer.core.arrays import Floats32
from nearer.online.drift import FALSE_ALARMS, energy_test, worsened
from nearer.online.metrics import UnitSums

TOPICS, DIMENSION = 20, 64


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    print(f"| persons a period | change | alarms | standard error |\n{'| --- ' * 4}|")
    for number in (30, 100, 300):
        for what, new_topic, fall in (
            ("queries, none", 0.0, None),
            ("queries, a topic of 10 %", 0.1, None),
            ("queries, a topic of 30 %", 0.3, None),
            ("click-through, none", None, 0.0),
            ("click-through, 0.40 to 0.35", None, 0.05),
            ("click-through, 0.40 to 0.30", None, 0.1),
            ("zero results, none of 0.5 %", None, None),
        ):
            runs = arguments.runs if "none" in what else max(1, arguments.runs // 10)
            alarms = np.array([_alarm(rng, number, new_topic, fall, what) for _ in range(runs)])
            error = sqrt(alarms.mean() * (1 - alarms.mean()) / runs)
            print(f"| {number} | {what} | {alarms.mean():.2%} | {error:.2%} |", flush=True)


def _alarm(rng: np.random.Generator, number: int, new_topic: float | None, fall: float | None, what: str) -> bool:
    if new_topic is not None:
        taste = rng.integers(TOPICS, size=(2 * number, 2))
        old = _queries(rng, taste[:number])
        both = np.concatenate([taste[: number // 2], taste[number : number + number - number // 2]])
        new = _queries(rng, both, new_topic=new_topic)
        return energy_test(new, old, rng=rng).p_value <= FALSE_ALARMS
    rate, is_higher_better = (0.005, False) if what.startswith("zero") else (0.4, True)
    own = rng.beta(8 * rate, 8 * (1 - rate), 2 * number)
    old_rate, new_rate = own[:number], np.concatenate([own[: number // 2], own[number : number + number - number // 2]])
    new_rate = new_rate * (1 - (fall or 0.0) / rate)
    p_value = worsened(_people(rng, new_rate), _people(rng, old_rate), is_higher_better=is_higher_better, rng=rng)
    return p_value <= FALSE_ALARMS


def _queries(rng: np.random.Generator, taste_N2: "np.ndarray", *, new_topic: float = 0.0) -> Floats32:
    topic = taste_N2[np.arange(len(taste_N2)), rng.integers(2, size=len(taste_N2))]
    topic = np.where(rng.random(len(topic)) < new_topic, TOPICS, topic)
    vectors = np.eye(TOPICS + 1, DIMENSION)[topic] + rng.normal(0, 0.15, (len(topic), DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _people(rng: np.random.Generator, rate_U: "np.ndarray") -> UnitSums:
    searches_U = 1 + rng.poisson(rng.lognormal(0, 1, len(rate_U)))
    return UnitSums(
        units_U=np.arange(len(rate_U)),
        top_U=rng.binomial(searches_U, rate_U).astype(np.float64),
        below_U=searches_U.astype(np.float64),
    )


if __name__ == "__main__":
    main()
