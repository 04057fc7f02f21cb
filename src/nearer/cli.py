"""The command line: parse, open the workspace, call one flow, print.

Exit codes: 0 done; 1 an internal failure; 2 bad input or usage; 3 done, and the verdict is no.
"""

import io
import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from nearer import printing
from nearer.core.errors import ImportFaults, NearerError
from nearer.core.escape import escape_controls
from nearer.core.recipe import load_recipe
from nearer.core.results.base import Result
from nearer.core.results.data import NewWorkspace
from nearer.printing.progress import ConsoleProgress, WarningLines, end_all
from nearer.store.workspace import Workspace, is_workspace

N = TypeVar("N", int, float)
R = TypeVar("R", bound=Result)

EXIT_INTERNAL, EXIT_INPUT, EXIT_NO, EXIT_INTERRUPTED = 1, 2, 3, 130
_NO = frozenset({"refused", "faults", "not identified"})
_ParserError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What the parser raises for bad usage: click's own class, or that of the copy of click inside newer typers."""

app = typer.Typer(
    help="Make search understand what relevant means in your own domain.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Option("--dir", "-C", help="The workspace.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set a recipe value for this run.", metavar="SECTION.KEY=VALUE")
]
HERE = Path()


class UsageFault(NearerError):
    """Options that do not go together."""

    code = "usage"


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nearer {version('nearer')}")
        raise typer.Exit


@app.callback()
def everywhere(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make search understand what relevant means in your own domain."""


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")], as_json: AsJson = False) -> None:
    """Make a new workspace."""
    workspace = Workspace.init(folder)
    _print(NewWorkspace(workspace=str(workspace.folder)), as_json, lambda _: f"made a workspace in {folder}")


@app.command()
def add(
    kind: Annotated[str, typer.Argument(metavar="beir|corpus|queries|judgments|pairs")],
    path: Annotated[Path, typer.Argument(metavar="PATH")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Set bad rows aside, with their count.")] = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of files that are not UTF-8: cp1252, gb18030, utf-16.", metavar="NAME")
    ] = None,
    make_ids: Annotated[
        bool, typer.Option("--make-ids", help="Give documents or queries without an id one by their content.")
    ] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Import a BEIR folder or one file; all or nothing, every fault listed."""
    from nearer.flows.add import add as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.added,
        lambda w: flow(
            w, kind, path, skip_bad=skip_bad, encoding=encoding, make_ids=make_ids, progress=ConsoleProgress()
        ),
    )


@app.command()
def remove(doc_ids: list[str], folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Remove documents, and the judgments on them."""
    from nearer.flows.add import remove as flow

    _run(folder, None, as_json, printing.removed, lambda w: flow(w, doc_ids))


@app.command()
def check(
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Set aside the queries that leak into a later split.")
    ] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Prove that no query leaks between splits; count duplicates, truncation and what is missing."""
    from nearer.flows.check import check as flow

    _run(folder, overrides, as_json, printing.checked, lambda w: flow(w, drop=drop_leaks, progress=ConsoleProgress()))


@app.command()
def evaluate(
    systems: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...")] = None,
    split: Annotated[str, typer.Option(help="Uses of test splits are counted.")] = "dev",
    task: Annotated[
        str | None, typer.Option(help="Another task than search: dedup, clustering, classification, recommendation.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The metadata field that says what belongs together.", metavar="FIELD")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure systems (base, live, a model's id, folder or Hub name, run:FILE); compare each with the first."""
    from nearer.flows.evaluate import evaluate as flow
    from nearer.flows.evaluate_task import evaluate_task

    named = systems or ["base"]
    if (task is None) != (label is None):
        raise UsageFault("--task TASK and --label FIELD go together", hint="see: nearer evaluate --help")
    if task and label:
        _run(
            folder,
            overrides,
            as_json,
            printing.evaluated_task,
            lambda w: evaluate_task(w, named, task=task, label=label, split=split, progress=ConsoleProgress()),
        )
        return
    _run(
        folder,
        overrides,
        as_json,
        printing.evaluated,
        lambda w: flow(w, named, split=split, progress=ConsoleProgress()),
    )


@app.command()
def diagnose(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    split: Annotated[str, typer.Option(help="Uses of test splits are counted.")] = "dev",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Find the one cause of every query that failed, and what would mend it; live's unless a system is named."""
    from nearer.flows.diagnose import diagnose as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.diagnosed,
        lambda w: flow(w, system, split=split, progress=ConsoleProgress()),
    )


@app.command()
def suite(
    systems: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]...")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The cases, as TOML; gate.suite of the recipe unless given.")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Run the cases that must keep working for systems: live, or else base, unless some are named."""
    from nearer.flows.suite import suite as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.suite_run,
        lambda w: flow(w, systems, file=file, progress=ConsoleProgress()),
    )


@app.command("judge-sheet")
def judge_sheet(
    queries: Annotated[Path, typer.Argument(metavar="QUERIES", help="A text file with a query a line, CSV or JSONL.")],
    output: Annotated[Path, typer.Option(help="The CSV to write; it must not be there yet.")] = Path("judge-sheet.csv"),
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Write a CSV of what is found for queries, to fill in grades by hand; nearer add judgments reads it."""
    from nearer.flows.judge_sheet import judge_sheet as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.sheet_written,
        lambda w: flow(w, queries, output=output, progress=ConsoleProgress()),
    )


@app.command()
def export(
    kind: Annotated[str, typer.Argument(metavar="run|qrels|topics")],
    names: Annotated[list[str], typer.Argument(metavar="[SYSTEM] FILE")],
    split: Annotated[str, typer.Option(help="A run of a test split uses it once; uses are counted.")] = "dev",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Write a system's run (base by default), or a split's qrels or topics, as TREC tools read them."""
    from nearer.flows.export import export as flow

    *system, file = names
    if len(system) > (kind == "run"):
        raise UsageFault(f"{' '.join(names)}: too many names", hint="see: nearer export --help")
    name = system[0] if system else "base"
    _run(
        folder,
        overrides,
        as_json,
        printing.exported,
        lambda w: flow(w, kind, Path(file), system=name, split=split, progress=ConsoleProgress()),
    )


@app.command()
def train(
    start: Annotated[str, typer.Option("--from", help="The system to train further.", metavar="SYSTEM")] = "base",
    adapter: Annotated[
        str | None,
        typer.Option(help="Map its vectors instead, in seconds: query, shared, separate.", metavar="SIDES"),
    ] = None,
    reranker: Annotated[
        bool, typer.Option("--reranker", help="Train a cross-encoder that ranks anew what the system finds.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="Fit the training into a time: 90s, 20m, 2h.", metavar="TIME")
    ] = None,
    search: Annotated[int, typer.Option(help="Try so many settings; dev chooses.", metavar="TRIALS")] = 0,
    seeds: Annotated[int, typer.Option(help="Train with so many seeds; dev picks one.")] = 1,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with an unfinished run: its id, or newest.", metavar="RUN"),
    ] = None,
    discard: Annotated[str | None, typer.Option(help="Give an unfinished run up.", metavar="RUN")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Train a candidate model."""
    from nearer.flows.adapt import adapt
    from nearer.flows.train import train as flow
    from nearer.flows.train_reranker import train_reranker
    from nearer.training.unfinished import discard_run

    if discard is not None:
        _run(folder, overrides, as_json, printing.discarded, lambda w: discard_run(w, discard))
        return
    if resume and adapter is not None:
        raise UsageFault("--adapter takes no --resume", hint="an adapter is trained in seconds: train it anew")
    if reranker and adapter is not None:
        raise UsageFault("--reranker and --adapter do not go together", hint="train one, then the other")
    if (reranker or adapter is not None) and (budget is not None or search or seeds != 1):
        raise UsageFault(
            f"{'--reranker' if reranker else '--adapter'} takes no --budget, --search or --seeds",
            hint="leave them out: they are of an encoder's training",
        )
    if reranker:
        _run(
            folder,
            overrides,
            as_json,
            printing.trained_reranker,
            lambda w: train_reranker(w, start, resume=resume, progress=ConsoleProgress()),
        )
        return
    if adapter is not None:
        _run(
            folder, overrides, as_json, printing.trained, lambda w: adapt(w, adapter, start, progress=ConsoleProgress())
        )
        return
    _run(
        folder,
        overrides,
        as_json,
        printing.trained,
        lambda w: flow(w, start, budget=budget, search=search, seeds=seeds, resume=resume, progress=ConsoleProgress()),
    )


@app.command()
def merge(
    system: Annotated[str, typer.Argument(metavar="MODEL")],
    weight: Annotated[float, typer.Option(help="MODEL's share of every weight, 0 to 1.")],
    other: Annotated[str, typer.Option("--with", help="The model to merge it with.", metavar="SYSTEM")] = "base",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Merge a trained model with the base, against forgetting: each weight between the two models' own."""
    from nearer.flows.merge import merge as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.merged,
        lambda w: flow(w, system, other, weight=weight, progress=ConsoleProgress()),
    )


@app.command()
def compress(
    system: Annotated[str, typer.Argument(metavar="SYSTEM")],
    dimension: Annotated[
        int | None, typer.Option(help="Register the model of so many dimensions; else every size is measured.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Where sizes are measured; dev unless said otherwise.")] = None,
    rotated: Annotated[
        bool, typer.Option("--rotated", help="Turn its vectors first, by the training pairs: cut ones lose less.")
    ] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure a model's vectors at fewer dimensions and bits, or make a model of fewer dimensions."""
    from nearer.flows.compress import compress as flow
    from nearer.flows.compress import compression_curve
    from nearer.flows.rotate import rotate

    def of(workspace: Workspace) -> str:
        return rotate(workspace, system, progress=ConsoleProgress()).model_id if rotated else system

    if dimension is None:
        chosen = split or "dev"
        _run(
            folder,
            overrides,
            as_json,
            printing.compression,
            lambda w: compression_curve(w, of(w), split=chosen, progress=ConsoleProgress()),
        )
        return
    if split is not None:
        raise UsageFault("--dimension and --split do not go together", hint="measure what it made: nearer evaluate")
    _run(folder, overrides, as_json, printing.compressed, lambda w: flow(w, of(w), dimension=dimension))


@app.command()
def index(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only tell whether it is whole and follows the documents.")
    ] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Bring an index up to the documents: live's and its predecessor's unless a system is named."""
    from nearer.flows.index import index as build
    from nearer.flows.index import index_status

    if verify:
        _run(folder, overrides, as_json, printing.verified, lambda w: index_status(w, system))
    else:
        _run(folder, overrides, as_json, printing.indexed, lambda w: build(w, system, progress=ConsoleProgress()))


@app.command()
def promote(
    system: Annotated[str | None, typer.Argument(metavar="[SYSTEM]")] = None,
    split: Annotated[str | None, typer.Option(help="The split that judges; test unless said otherwise.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it live although the gate refuses.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it is forced; kept in the history.")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Make a model live if the gate lets it through, or a former release again."""
    from nearer.flows.promote import promote as flow

    if force != bool(reason and reason.strip()):
        raise UsageFault("--force and --reason TEXT go together", hint="see: nearer promote --help")
    _run(
        folder,
        overrides,
        as_json,
        printing.promoted,
        lambda w: flow(w, system, split=split, force_reason=reason, progress=ConsoleProgress()),
    )


@app.command()
def prune(
    keep: Annotated[int, typer.Option(help="The newest models, rerankers and reports that stay all the same.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Give space back: models that were never released, their indexes and vectors, and old reports."""
    from nearer.flows.prune import prune as flow

    _run(folder, overrides, as_json, printing.pruned, lambda w: flow(w, keep=keep, dry_run=dry_run))


@app.command()
def rollback(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Make live again what was live before the current release."""
    from nearer.flows.rollback import rollback as flow

    _run(folder, None, as_json, printing.rolled_back, lambda w: flow(w, progress=ConsoleProgress()))


@app.command()
def status(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Say what is live and what a rollback would return to."""
    from nearer.flows.status import status as flow

    _run(folder, None, as_json, printing.status, flow)


@app.command()
def history(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """List what happened to the live release."""
    from nearer.flows.history import history as flow

    _run(folder, None, as_json, printing.history, flow)


@app.command()
def lineage(
    system: Annotated[str, typer.Argument(metavar="[SYSTEM]")] = "live", folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Tell which data, seed and parents made a system's model."""
    from nearer.flows.lineage import lineage as flow

    _run(folder, None, as_json, printing.lineage, lambda w: flow(w, system))


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

    of_query = _named(known or [], "--known")
    _run(
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
    folder: Folder = HERE,
) -> None:
    """Answer over HTTP from the live release, and follow it, until it is told to end."""
    from nearer.core.extras import extra

    with extra("serve", used_for="nearer serve"):
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    from nearer.web.run import serve as run

    with Workspace.open(folder) as workspace:
        run(workspace, host=host, port=port, origins=origins or (), say=ConsoleProgress().say)


@app.command()
def key(
    action: Annotated[str, typer.Argument(metavar="add|list|remove")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do: read, write, admin; read unless given.")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Requests in a minute; any number unless given.")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Add, list or remove the keys with which clients ask the service; the token of a new one is shown once."""
    from nearer.flows.key import key as flow

    _run(folder, None, as_json, printing.keys, lambda w: flow(w, action, name, scopes=scopes or (), per_minute=rate))


@app.command(hidden=True)
def job(job_id: str, folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Do a job that the service was asked for; the service begins it, in a process of its own."""
    from nearer.flows.job import run_job

    _run(folder, None, as_json, lambda done: f"{done.job_id}: {done.state}", lambda w: run_job(w, job_id))


@app.command()
def cost(
    documents: Annotated[str, typer.Option(help="How many: 100_000_000, 100M, 1.5B, 10k.", metavar="COUNT")],
    dims: Annotated[str, typer.Option(help="Dimensions, with commas between.", metavar="N,...")] = "384",
    precision: Annotated[
        str, typer.Option(help="float32, float16, int8, binary, with commas between.", metavar="NAME,...")
    ] = "float32",
    documents_per_second: Annotated[
        str | None, typer.Option(help="What one machine encodes; else it is measured here.", metavar="RATE,...")
    ] = None,
    passages_per_document: Annotated[float, typer.Option(help="Vectors that a document takes.")] = 1.0,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Reckon storage, index, re-embedding hours and relative search cost; no workspace is needed."""
    from nearer.flows.cost import cost as flow

    sizes, rates = _numbers(dims, int, "--dims"), _numbers(documents_per_second or "", float, "--documents-per-second")
    settings = tuple(overrides or ())
    workspace = None if folder == HERE and not is_workspace(folder) else Workspace.open(folder, overrides=settings)
    try:
        result = flow(
            documents,
            dims=sizes,
            precisions=[name.strip() for name in precision.split(",")],
            documents_per_second=rates,
            passages_per_document=passages_per_document,
            workspace=workspace,
            recipe=workspace.recipe if workspace else load_recipe(None, overrides=settings),
            progress=ConsoleProgress(),
        )
    finally:
        if workspace:
            workspace.close()
    _print(result, as_json, printing.costed)


clicks = typer.Typer(no_args_is_help=True, help="What users clicked on, and what that says of relevance.")
app.add_typer(clicks, name="clicks")


@clicks.command("fit")
def clicks_fit(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    test: Annotated[Path | None, typer.Option(help="Another log, which the model is measured on.")] = None,
    model: Annotated[str, typer.Option(help="auto, pbm, harvest, sdbn, coec, ctr or rank_ctr.")] = "auto",
    first_rank: Annotated[int | None, typer.Option(help="What the top position is called: 0 or 1.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a click model to a log of any search engine; no workspace is needed."""
    from nearer.flows.fit_clicks import fit_clicks

    _print(fit_clicks(file, test=test, model=model, first_rank=first_rank), as_json, printing.fitted_clicks)


@app.command()
def advise(
    write: Annotated[
        bool, typer.Option("--write", help="Put the advice into nearer.toml; register an adapter if one is advised.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Train on all pairs instead of forecasting from a few; takes long.")
    ] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not use the test split to confirm.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Measure every remedy on the judged queries of train and dev; say which to take, what it costs, and why."""
    from nearer.flows.advise import advise as flow

    _run(
        folder,
        overrides,
        as_json,
        printing.advised,
        lambda w: flow(w, write=write, measure=measure, confirm_on_test=not no_test, progress=ConsoleProgress()),
    )


@app.command()
def report(folder: Folder = HERE, as_json: AsJson = False, overrides: Overrides = None) -> None:
    """Write one HTML page of what was measured, decided and shipped."""
    from nearer.flows.report import report as flow

    _run(folder, overrides, as_json, printing.reported, flow)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--dir", "-C", help="Where to work; made anew.", metavar="DIR")] = Path(
        "demo"
    ),
    full: Annotated[bool, typer.Option("--full", help="Use every function; takes half an hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do the whole job on the Python standard library of this machine: offline, on a CPU, in minutes."""
    from nearer.flows.demo import demo as flow

    _print(flow(folder, full=full, progress=ConsoleProgress()), as_json, printing.demonstrated)


def _numbers(text: str, kind: Callable[[str], N], option: str) -> list[N]:
    """The numbers of an option that takes several, with commas between."""
    try:
        return [kind(each) for each in text.split(",")] if text else []
    except ValueError as error:
        raise UsageFault(f"{option} {text}: not numbers with commas between", hint=f"{option} 384,1024") from error


def _named(texts: list[str], option: str) -> dict[str, object]:
    """The values of an option that is given as FIELD=VALUE, several times."""
    pairs = [text.partition("=") for text in texts]
    if faulty := [text for text, (name, sign, _) in zip(texts, pairs, strict=True) if not (name and sign)]:
        raise UsageFault(f"{option} {faulty[0]!r} is not FIELD=VALUE", hint=f"for example: {option} year=2024")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _run(
    folder: Path,
    overrides: list[str] | None,
    as_json: bool,
    text_of: Callable[[R], str],
    flow: Callable[[Workspace], R],
) -> None:
    with Workspace.open(folder, overrides=tuple(overrides or ())) as workspace:
        result = flow(workspace)
    _print(result, as_json, text_of)


def _print(result: R, as_json: bool, text_of: Callable[[R], str]) -> None:
    typer.echo(json.dumps(result.to_dict(), allow_nan=False) if as_json else escape_controls(text_of(result)))
    if result.get("verdict") in _NO:
        raise typer.Exit(EXIT_NO)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; errors are printed without a traceback unless --debug is given."""
    given = sys.argv[1:] if arguments is None else arguments
    debug, given = "--debug" in given, [argument for argument in given if argument != "--debug"]
    as_json = "--json" in given and os.environ.get("RANK", "0") == "0"  # stdout is the first process's alone
    _quieten_libraries()
    _survive_strange_text()
    _show_warnings()
    try:
        with _joined() as is_first:
            code = app(given or ["--help"], prog_name="nearer", standalone_mode=False) if is_first else 0
            if code == EXIT_INTERRUPTED:  # the parser turns Ctrl-C into this
                raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except ImportFaults as error:
        log = error.log
        faults = {"faults": [asdict(fault) for fault in log.kept], "num_faults": log.num_faults, "more": dict(log.more)}
        _fail(EXIT_INPUT, error.code, error.message, error.hint, as_json=as_json, debug=debug, faults=faults)
    except NearerError as error:
        _fail(EXIT_INPUT, error.code, error.message, error.hint, as_json=as_json, debug=debug)
    except _ParserError as error:
        _fail(EXIT_INPUT, "usage", error.format_message(), "see: nearer --help", as_json=as_json, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        what = "interrupted; nothing half done is live"
        _fail(EXIT_INTERRUPTED, "interrupted", what, "repeat the command", as_json=as_json)
    except OSError as error:
        what = (
            f"{error.filename}: {error.strerror}" if error.filename else f"the system says: {error.strerror or error}"
        )
        hint = "check the path, its permissions and the room on the disk, then repeat the command"
        _fail(EXIT_INPUT, "system", what, hint, as_json=as_json, debug=debug)
    except Exception as error:
        hint = "please report this, with what --debug prints"
        _fail(EXIT_INTERNAL, "internal", f"{type(error).__name__}: {error}", hint, as_json=as_json, debug=debug)


def _joined() -> AbstractContextManager[bool]:
    """Whether this process is to do the work: always, unless torchrun started several and this is not their first."""
    if not os.environ.keys() >= {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}:
        return nullcontext(True)
    if os.environ["RANK"] == "0" and (number := int(os.environ["WORLD_SIZE"])) > 1:
        ConsoleProgress().say(f"the first of {number} processes: the others take part where an encoder is trained")
    from nearer.learn.worker import joined

    return joined()


def _fail(
    exit_code: int,
    code: str,
    message: str,
    hint: str,
    *,
    as_json: bool,
    debug: bool = False,
    faults: Mapping[str, object] | None = None,
) -> NoReturn:
    end_all()
    if debug:
        typer.echo(escape_controls(traceback.format_exc()), err=True)
    if as_json:
        error = {"code": code, "message": message, "hint": hint, **(faults or {})}
        typer.echo(json.dumps({"error": error}))
    else:
        typer.echo(escape_controls(f"nearer: {message}" + (f"\n  -> {hint}" if hint else "")), err=True)
    if exit_code == EXIT_INTERRUPTED and any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.stdout.flush()
        os._exit(exit_code)  # a thread that waits for a service is not waited for
    sys.exit(exit_code)


def _quieten_libraries() -> None:
    """Keep other libraries' progress bars and notices off the screen; their errors still show."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("LANCEDB_LOG", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def _show_warnings() -> None:
    """Show what the library warns of, such as for whom it waits, as a line of the progress."""
    log = logging.getLogger("nearer")
    if not log.handlers:
        log.addHandler(WarningLines(ConsoleProgress()))
        log.propagate = False


def _survive_strange_text() -> None:
    """Show what the terminal's encoding lacks as an escape, rather than fail after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
