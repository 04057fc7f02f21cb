"""CPU-seconds and peak memory of near-duplicates and of `nearer check`: equal texts, a realistic mix, many documents.

    python benchmarks/near_duplicates.py [CASE...] [--check N --work DIR]

Each case runs in a process of its own. The mix has real proportions: most texts unlike any other, some repeated, some
with a word changed, and boilerplate that a tenth share. ``--check N`` imports N short documents into a workspace below
``--work`` and checks it.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SENTENCE = "how do I reset the password of my account when the mail with the code does not arrive at my address"


def equal(number: int) -> list[str]:
    """The same text so many times."""
    return [SENTENCE] * number


def templates(number: int) -> list[str]:
    """One text with another last word each: all nearly repeat each other."""
    return [f"{SENTENCE} and there is {row}" for row in range(number)]


def mix(number: int, *, seed: int = 0) -> list[str]:
    """Texts of 8 to 40 words by Zipf's law: a tenth equal to an earlier, a tenth changed, a tenth with boilerplate."""
    draw = random.Random(seed)
    vocabulary = [f"w{row}" for row in range(50_000)]
    shares = 1 / (np.arange(len(vocabulary)) + 10)
    numbers = np.random.default_rng(seed).choice(len(vocabulary), 26 * number, p=shares / shares.sum())
    drawn = (vocabulary[row] for row in numbers)
    boilerplate = " ".join(vocabulary[-12:])
    texts: list[str] = []
    for _ in range(number):
        kind = draw.random()
        if texts and kind < 0.1:
            texts.append(draw.choice(texts))
        elif texts and kind < 0.2:
            words = draw.choice(texts).split()
            words[draw.randrange(len(words))] = draw.choice(vocabulary)
            texts.append(" ".join(words))
        else:
            text = " ".join(word for word, _ in zip(drawn, range(draw.randint(8, 40)), strict=False))
            texts.append(f"{text} {boilerplate}" if kind < 0.3 else text)
    return texts


CASES: dict[str, Callable[[], list[str]]] = {
    "4,000 equal": lambda: equal(4_000),
    "50,000 equal": lambda: equal(50_000),
    "5,000 of one template": lambda: templates(5_000),
    "20,000 mixed": lambda: mix(20_000),
    "1,000,000 mixed": lambda: mix(1_000_000),
}


def main() -> None:
    """Print a line of the table for every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", default=list(CASES), help=f"of: {', '.join(CASES)}")
    parser.add_argument("--check", type=int, metavar="N", help="documents of a workspace that is checked")
    parser.add_argument("--work", type=Path, help="where that workspace is made")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check, arguments.work)
    elif arguments.one:
        print(measured(arguments.case[0]))
    else:
        print("| texts | CPU-seconds | peak memory | clusters |\n| --- | --- | --- | --- |")
        for case in arguments.case:
            subprocess.run([sys.executable, __file__, "--one", case], check=True)


def measured(case: str) -> str:
    """The line of one case."""
    texts = CASES[case]()
    held = _peak_mb()
    began = time.process_time()
    first = _clusters(texts)
    spent_s = time.process_time() - began
    return f"| {case} | {spent_s:.1f} | {held:.0f} -> {_peak_mb():.0f} MB | {len(set(first)):,} |"


def check(number: int, work: Path) -> None:
    """Import so many documents, and check them."""
    import nearer

    workspace = nearer.Workspace.init(work / f"check-{number}")
    path = work / f"corpus-{number}.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for row, text in enumerate(mix(number)):
            lines.write(json.dumps({"_id": f"d{row}", "text": text}) + "\n")
    nearer.add(workspace, "corpus", path)
    workspace.close()
    subprocess.run([sys.executable, "-c", _CHECK, str(work / f"check-{number}")], check=True)


_CHECK = """
import resource, sys, time
import nearer
from nearer.printing.progress import ConsoleProgress
began, cpu = time.monotonic(), time.process_time()
result = nearer.check(nearer.Workspace.open(sys.argv[1]), progress=ConsoleProgress())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(*result.notes, sep="\\n")
print(f"{time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} CPU-seconds, peak {peak:,.0f} MB")
"""


def _clusters(texts: list[str]) -> list[int]:
    try:
        from nearer.core.near_duplicates import cluster_texts
    except ImportError:  # before texts were grouped
        from nearer.core.text import clusters, near_duplicates

        return clusters(len(texts), near_duplicates(texts))
    return cluster_texts(texts)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
