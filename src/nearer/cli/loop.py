"""Verbs of the loop: whether it is time for another turn, and the turn."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, app, run
from nearer.printing.progress import ConsoleProgress


@app.command()
def drift(
    days: Annotated[int, typer.Option(help="Of a period; the newest is compared with the one before.")] = 7,
    metric: Annotated[str, typer.Option(help="The online metric that must not fall.")] = "click_through",
    against: Annotated[str, typer.Option(help="What queries are compared with: before, training.")] = "before",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Say whether what users ask, or what becomes of it, has changed: queries, searches without results, a metric."""
    from nearer.flows.drift import drift as flow

    run(
        folder,
        overrides,
        as_json,
        printing.drifted,
        lambda w: flow(w, days=days, metric=metric, against=against, progress=ConsoleProgress()),
    )


@app.command()
def cycle(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    until: Annotated[str | None, typer.Option(help="Stop after this stage; the next call goes on.")] = None,
    sources: Annotated[str, typer.Option(help="Whose judgments are learned from, such as human,clicks.")] = "",
    budget: Annotated[str | None, typer.Option(help="Time for both trainings, such as 40m.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(help="US dollars that this call may pay to services; before more it stops.")
    ] = None,
    shadow: Annotated[float, typer.Option(help="Ask the candidate this share of live's queries first.")] = 0.0,
    canary: Annotated[float, typer.Option(help="Let it answer this share of the users first.")] = 0.0,
    days: Annotated[int, typer.Option(help="Of the canary.")] = 7,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Do one turn of the loop: judge clicks, train, measure, gate, go live; exit code 3 where it is refused."""
    from nearer.flows.cycle import cycle as flow

    run(
        folder,
        overrides,
        as_json,
        printing.cycled,
        lambda w: flow(
            w,
            dry_run=dry_run,
            until=until,
            sources=sources,
            budget=budget,
            max_cost=max_cost,
            shadow=shadow,
            canary=canary,
            days=days,
            progress=ConsoleProgress(),
        ),
    )
