"""Verbs of the loop: whether it is time for another turn."""

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
