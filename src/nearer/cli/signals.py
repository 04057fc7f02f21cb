"""Verbs of what users did."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, app, run, show

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
    """Tell what the service showed and what users did: how many, when, and what is kept apart."""
    from nearer.flows.events import event_counts

    run(folder, None, as_json, printing.counted_events, event_counts)


@app.command()
def forget(
    user: Annotated[str, typer.Argument(metavar="USER")], folder: Folder = HERE, as_json: AsJson = False
) -> None:
    """Remove what a user saw and did from the event log, and say which judgments of clicks change."""
    from nearer.flows.forget import forget_user

    run(folder, None, as_json, printing.forgotten, lambda w: forget_user(w, user))
