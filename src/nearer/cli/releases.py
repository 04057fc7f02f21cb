"""Verbs of the live release: its index, what goes live, what was live, and the space that all takes."""

from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, run
from nearer.printing.progress import ConsoleProgress


@app.command()
def index(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only tell whether it is whole and follows the documents.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="What encodes: local, or ray for the machines of a Ray cluster.")
    ] = "local",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Bring an index up to the documents: live's and its predecessor's unless a system is named."""
    from nearer.flows.index import index as build
    from nearer.flows.index import index_status

    if verify:
        run(folder, overrides, as_json, printing.verified, lambda w: index_status(w, system))
    else:
        run(
            folder,
            overrides,
            as_json,
            printing.indexed,
            lambda w: build(w, system, engine=engine, progress=ConsoleProgress()),
        )


@app.command()
def promote(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    split: Annotated[str | None, typer.Option(help="The split that judges; test unless said otherwise.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it live although the gate refuses.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it is forced; kept in the history.")] = None,
    share: Annotated[
        float | None, typer.Option(help="Answer this share of the users, from 0 to 1; live stays live.")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Make a model live if the gate lets it through, or a former release again."""
    from nearer.flows.promote import promote as flow

    if force != bool(reason and reason.strip()):
        raise UsageFault("--force and --reason TEXT go together", hint="see: nearer promote --help")
    run(
        folder,
        overrides,
        as_json,
        printing.promoted,
        lambda w: flow(w, system, split=split, force_reason=reason, share=share, progress=ConsoleProgress()),
    )


@app.command("arm")
def arm(
    action: Annotated[str, typer.Argument(metavar="status|stop")], folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Say which release answers a share of the users beside live, or have live answer all again."""
    from nearer.flows.arm import arm_status, stop_arm

    flows = {"status": arm_status, "stop": stop_arm}
    if action not in flows:
        raise UsageFault(f"{action!r} is neither status nor stop", hint="see: nearer arm --help")
    run(folder, None, as_json, printing.arm, flows[action])


@app.command()
def rollback(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Make live again what was live before the current release."""
    from nearer.flows.rollback import rollback as flow

    run(folder, None, as_json, printing.rolled_back, lambda w: flow(w, progress=ConsoleProgress()))


@app.command()
def status(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Say what is live and what a rollback would return to."""
    from nearer.flows.status import status as flow

    run(folder, None, as_json, printing.status, flow, only_looks=True)


@app.command()
def history(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """List what happened to the live release."""
    from nearer.flows.history import history as flow

    run(folder, None, as_json, printing.history, flow)


@app.command()
def lineage(
    system: Annotated[str, typer.Argument(metavar="[SYSTEM]")] = "live", folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Say which data, seed and parents made a system's model, or that of an answer by its query id."""
    from nearer.flows.lineage import lineage as flow

    run(folder, None, as_json, printing.lineage, lambda w: flow(w, system))


@app.command()
def prune(
    keep: Annotated[int, typer.Option(help="The newest models, rerankers and reports that stay all the same.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Free disk space: remove models that were never released, their indexes and vectors, and old reports."""
    from nearer.flows.prune import prune as flow

    run(folder, overrides, as_json, printing.pruned, lambda w: flow(w, keep=keep, dry_run=dry_run))
