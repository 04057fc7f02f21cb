"""A candidate in the shadow of live, on the command line."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, app, run
from nearer.printing.progress import ConsoleProgress

shadow = typer.Typer(no_args_is_help=True, help="Ask a candidate what users ask live, and compare the answers.")
app.add_typer(shadow, name="shadow")


@shadow.command()
def start(
    system: str,
    share: Annotated[float, typer.Option(help="Of the queries, from 0 to 1.")] = 0.1,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Put a system in the shadow of live: the service asks it a share of the queries, after live has answered."""
    from nearer.flows.shadow import start_shadow

    run(
        folder,
        overrides,
        as_json,
        printing.shadowed,
        lambda w: start_shadow(w, system, share=share, progress=ConsoleProgress()),
    )


@shadow.command()
def report(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """What the candidate answered beside live: how alike, how fast, and the queries that differ most."""
    from nearer.flows.shadow import shadow_report

    run(folder, None, as_json, printing.shadowed, shadow_report)


@shadow.command()
def stop(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Take the candidate out of the shadow; what it answered is kept."""
    from nearer.flows.shadow import stop_shadow

    run(folder, None, as_json, printing.shadowed, stop_shadow)
