"""Verbs of what users did."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, Seed, app, run, show
from nearer.printing.progress import ConsoleProgress

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

    show(fit_clicks(file, test=test, model=model, first_rank=first_rank), as_json, printing.fitted_clicks)


@clicks.command("judge")
def clicks_judge(
    model: Annotated[str, typer.Option(help="auto, pbm, harvest, sdbn, coec or ctr.")] = "auto",
    min_impressions: Annotated[int, typer.Option(help="Pairs shown less often are not judged.")] = 10,
    min_users: Annotated[int, typer.Option(help="Nor those shown to fewer people.")] = 3,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Make judgments of what users did; exit code 3 where the log cannot tell position from document."""
    from nearer.flows.judge_clicks import judge_clicks

    run(
        folder,
        overrides,
        as_json,
        printing.judged_clicks,
        lambda w: judge_clicks(w, model=model, min_impressions=min_impressions, min_users=min_users),
    )


@app.command()
def events(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Report what the service showed and what users did: how many, when, and what is kept apart."""
    from nearer.flows.events import event_counts

    run(folder, None, as_json, printing.counted_events, event_counts)


@app.command()
def forget(
    user: Annotated[str, typer.Argument(metavar="USER")], folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Remove what a user saw and did from the event log, and say which judgments of clicks change."""
    from nearer.flows.forget import forget_user

    run(folder, None, as_json, printing.forgotten, lambda w: forget_user(w, user))


@app.command()
def simulate(
    to: Annotated[str, typer.Argument(metavar="FILE|URL")],
    split: Annotated[str, typer.Option(help="Whose judged queries are asked.")] = "dev",
    users: Annotated[str, typer.Option(help="How users click: position, cascade, trust.")] = "position",
    sessions: Annotated[int, typer.Option(help="How many lists are shown.")] = 10_000,
    noise: Annotated[float, typer.Option(help="How likely a document of grade 0 attracts.")] = 0.1,
    drift: Annotated[float, typer.Option(help="How far what is asked changes over time, 0 to 1.")] = 0.0,
    seed: Seed = 0,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Let simulated users ask the live release, or a running service, and click as a stated model says."""
    from nearer.flows.simulate import simulate as flow

    run(
        folder,
        overrides,
        as_json,
        printing.simulated,
        lambda w: flow(
            w,
            to,
            split=split,
            users=users,
            sessions=sessions,
            noise=noise,
            drift=drift,
            seed=seed,
            progress=ConsoleProgress(),
        ),
    )
