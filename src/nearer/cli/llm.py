"""Verbs of language models: they write queries, and judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearer import printing
from nearer.cli.options import (
    HERE,
    AsJson,
    Folder,
    Overrides,
    PoolDepth,
    PooledSystems,
    Seed,
    UsageFault,
    app,
    numbers,
    run,
)
from nearer.printing.progress import ConsoleProgress

if TYPE_CHECKING:
    from nearer.core.results.llm import ModelJudged, Synthesized
    from nearer.store.workspace import Workspace

Model = Annotated[str | None, typer.Option(help="A folder, or a name that the service of OPENAI_BASE_URL knows.")]
Parallel = Annotated[int, typer.Option(help="Questions at once.")]
PerMinute = Annotated[int | None, typer.Option(help="Questions in a minute, at most.")]
Price = Annotated[str, typer.Option(help="US dollars a million tokens read and written, with a comma: 0.15,0.60.")]
MaxCost = Annotated[float | None, typer.Option(help="US dollars, at most; the rest is left out. It needs --price.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how much would be asked, and the cost.")]


@app.command()
def synthesize(
    model: Model = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Without any model: headings, phrases, sentences.")
    ] = False,
    each: Annotated[int, typer.Option(help="Queries a document.")] = 5,
    limit: Annotated[int | None, typer.Option(help="So many documents, drawn at random.")] = None,
    parallel: Parallel = 4,
    per_minute: PerMinute = None,
    price: Price = "",
    max_cost: MaxCost = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Write training queries for documents, with a language model or without, and keep those that hold."""
    from nearer.flows.synthesize import SynthesizeOptions
    from nearer.flows.synthesize import synthesize as flow

    def synthesized(workspace: "Workspace") -> "Synthesized":
        options = SynthesizeOptions(
            each=each,
            limit=limit,
            parallel=parallel,
            per_minute=per_minute,
            prices=_prices(price),
            max_cost=max_cost,
            seed=seed,
        )
        return flow(
            workspace, model=model, offline=offline, options=options, dry_run=dry_run, progress=ConsoleProgress()
        )

    run(folder, overrides, as_json, printing.synthesized, synthesized)


@app.command()
def judge(
    queries: Annotated[Path | None, typer.Argument(metavar="[QUERIES]")] = None,
    model: Model = None,
    split: Annotated[str, typer.Option(help="Whose queries, where no file is given.")] = "dev",
    systems: PooledSystems = None,
    depth: PoolDepth = 10,
    votes: Annotated[int, typer.Option(help="Answers to a pair, in each of two orders.")] = 1,
    limit: Annotated[int | None, typer.Option(help="So many pairs of the pool, drawn at random.")] = None,
    guideline: Annotated[Path | None, typer.Option(help="A file that says how to judge, a line a grade.")] = None,
    parallel: Parallel = 4,
    per_minute: PerMinute = None,
    price: Price = "",
    max_cost: MaxCost = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Have a language model judge what is found, and hold it against people; exit code 3 where they disagree."""
    from nearer.flows.judge import JudgeOptions
    from nearer.flows.judge import judge as flow

    def judged(workspace: "Workspace") -> "ModelJudged":
        options = JudgeOptions(
            split=split,
            systems=tuple(systems or ()),
            depth=depth,
            votes=votes,
            limit=limit,
            parallel=parallel,
            per_minute=per_minute,
            prices=_prices(price),
            max_cost=max_cost,
            guideline=guideline,
            seed=seed,
        )
        return flow(workspace, queries, model=model, options=options, dry_run=dry_run, progress=ConsoleProgress())

    run(folder, overrides, as_json, printing.model_judged, judged)


def _prices(text: str) -> tuple[float, float] | None:
    found = numbers(text, float, "--price")
    if not found:
        return None
    if len(found) != 2 or min(found) < 0:
        raise UsageFault(f"--price {text}: two prices, of tokens read and written", hint="--price 0.15,0.60")
    return found[0], found[1]
