"""Verbs that answer queries, on the command line and over HTTP."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, app, named, run
from nearer.printing.progress import ConsoleProgress


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    k: Annotated[int | None, typer.Option("-k", help="How many documents; 10, or what a reranker keeps.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help='Only documents whose field passes, as in "year>=2020"; all of several must hold.'),
    ] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(help="What else is known of the query, for a live system that filters.", metavar="FIELD=VALUE"),
    ] = None,
    lexical: Annotated[bool, typer.Option("--lexical", help="Rank by words (BM25) instead of vectors.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Answer one query from the live release."""
    from nearer.flows.search import search as flow

    of_query = named(known or [], "--known")
    run(
        folder,
        None,
        as_json,
        printing.found,
        lambda w: flow(w, text, k=k, where=where, known=of_query, lexical=lexical),
    )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any that is free.", min=0, max=65535)] = 8080,
    origins: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="A site whose pages may ask from a browser.", metavar="ORIGIN"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; each holds the model.", min=1, max=64)] = 1,
    folder: Folder = HERE,
) -> None:
    """Answer over HTTP from the live release, and follow it, until it is stopped."""
    from nearer.core.extras import extra

    with extra("serve", used_for="nearer serve"):
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    from nearer.store.workspace import Workspace
    from nearer.web.run import serve as start

    with Workspace.open(folder) as workspace:
        say = ConsoleProgress().say
        start(workspace, host=host, port=port, origins=origins or (), num_processes=workers, say=say)


@app.command()
def key(
    action: Annotated[str, typer.Argument(metavar="add|list|remove")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do: read, write, label, admin; read unless given.")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Requests in a minute; any number unless given.")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Add, list or remove the keys with which clients ask the service; the token of a new one is shown once."""
    from nearer.flows.key import key as flow

    run(folder, None, as_json, printing.keys, lambda w: flow(w, action, name, scopes=scopes or (), per_minute=rate))


@app.command(hidden=True)
def job(job_id: str, folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Do a job that the service was asked for; the service begins it, in a process of its own."""
    from nearer.flows.job import run_job

    run(folder, None, as_json, lambda done: f"{done.job_id}: {done.state}", lambda w: run_job(w, job_id))
