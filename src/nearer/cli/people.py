"""Verbs of judgments that people make."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, app, run


@app.command()
def agreement(
    source: Annotated[str, typer.Option(help="Whose raters: human, import or llm.")] = "human",
    write: Annotated[bool, typer.Option("--write", help="Weigh each rater's judgments by reliability.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Say how far raters agree, by rater and grade, and who is far from the rest."""
    from nearer.flows.agreement import agreement as flow

    run(folder, None, as_json, printing.agreed, lambda w: flow(w, source=source, write=write))
