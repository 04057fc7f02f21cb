"""Verbs of the data: import, check, judge, write for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, UsageFault, app, run, show
from nearer.printing.progress import ConsoleProgress


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    postgres: Annotated[
        bool, typer.Option("--postgres", help="With records and index in a PostgreSQL of its own, to try that.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new workspace."""
    from nearer.flows.init import init as flow

    show(flow(folder, postgres=postgres), as_json, printing.made_workspace)


@app.command()
def add(
    kind: Annotated[str, typer.Argument(metavar="beir|corpus|queries|judgments|pairs|events")],
    path: Annotated[Path, typer.Argument(metavar="PATH")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Set bad rows aside, with their count.")] = False,
    encoding: Annotated[
        str | None, typer.Option(help="Of files that are not UTF-8: cp1252, gb18030, utf-16.", metavar="NAME")
    ] = None,
    make_ids: Annotated[
        bool, typer.Option("--make-ids", help="Give documents or queries without an id one by their content.")
    ] = False,
    by: Annotated[
        str,
        typer.Option(help="Who judged: human, import or llm, perhaps with a name; import.", metavar="SOURCE[:RATER]"),
    ] = "",
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Import a BEIR folder or one file; all or nothing, every fault listed."""
    from nearer.flows.add import add as flow

    run(
        folder,
        overrides,
        as_json,
        printing.added,
        lambda w: flow(
            w, kind, path, skip_bad=skip_bad, encoding=encoding, make_ids=make_ids, by=by, progress=ConsoleProgress()
        ),
    )


@app.command()
def remove(doc_ids: list[str], folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Remove documents, and the judgments on them."""
    from nearer.flows.remove import remove as flow

    run(folder, None, as_json, printing.removed, lambda w: flow(w, doc_ids))


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

    run(folder, overrides, as_json, printing.checked, lambda w: flow(w, drop=drop_leaks, progress=ConsoleProgress()))


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

    run(
        folder,
        overrides,
        as_json,
        printing.sheet_written,
        lambda w: flow(w, queries, output=output, progress=ConsoleProgress()),
    )


@app.command()
def export(
    kind: Annotated[str, typer.Argument(metavar="run|qrels|topics|vectors|model")],
    names: Annotated[list[str], typer.Argument(metavar="[SYSTEM] FILE|DIR")],
    split: Annotated[str, typer.Option(help="A run of a test split uses it once; uses are counted.")] = "dev",
    store: Annotated[
        str, typer.Option(help="Of vectors: parquet, pgvector, qdrant or opensearch.", metavar="NAME")
    ] = "parquet",
    push: Annotated[
        str | None,
        typer.Option(help="Of a model: publish it on the Hugging Face Hub, with your token.", metavar="OWNER/NAME"),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Anyone may see a repository that --push makes.")] = False,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Write a run, qrels or topics, as TREC tools read them; vectors, for another store; or a model, as a folder.

    The system is base for a run, and live for vectors and a model, unless it is named.
    """
    from nearer.flows.export import export as flow
    from nearer.flows.export_model import export_model
    from nearer.flows.export_vectors import export_vectors

    *system, file = names
    if (push is not None or public) and kind != "model":
        raise UsageFault("--push and --public are of a model", hint="nearer export model SYSTEM DIR --push OWNER/NAME")
    if public and push is None:
        raise UsageFault("--public says nothing without --push", hint="name where it goes: --push OWNER/NAME")
    if len(system) > (kind in ("run", "vectors", "model")):
        raise UsageFault(f"{' '.join(names)}: too many names", hint="see: nearer export --help")
    if kind == "vectors":
        chosen = system[0] if system else "live"
        run(
            folder,
            overrides,
            as_json,
            printing.exported_vectors,
            lambda w: export_vectors(w, Path(file), system=chosen, store=store, progress=ConsoleProgress()),
        )
        return
    if kind == "model":
        chosen = system[0] if system else "live"
        run(
            folder,
            overrides,
            as_json,
            printing.exported_model,
            lambda w: export_model(w, Path(file), system=chosen, push=push, public=public, progress=ConsoleProgress()),
        )
        return
    name = system[0] if system else "base"
    run(
        folder,
        overrides,
        as_json,
        printing.exported,
        lambda w: flow(w, kind, Path(file), system=name, split=split, progress=ConsoleProgress()),
    )
