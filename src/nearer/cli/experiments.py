"""Experiments with users, on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, app, run
from nearer.printing.progress import ConsoleProgress

experiment = typer.Typer(no_args_is_help=True, help="Compare two releases, or rankings, by what users do.")
app.add_typer(experiment, name="experiment")

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, as TOML.")]


@experiment.command()
def plan(file: PlanFile, folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Say what an experiment can show, by the traffic of the last four weeks."""
    from nearer.flows.experiment import plan_experiment

    run(folder, None, as_json, printing.planned, lambda w: plan_experiment(w, file))


@experiment.command()
def start(
    file: PlanFile,
    force: Annotated[
        str | None, typer.Option("--force", help="Why it begins although the gate refuses.", metavar="REASON")
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Freeze the plan and share out the users, if the gate lets the treatment through."""
    from nearer.flows.experiment import start_experiment

    run(
        folder,
        overrides,
        as_json,
        printing.started,
        lambda w: start_experiment(w, file, force_reason=force, progress=ConsoleProgress()),
    )


@experiment.command("report")
def report_of(
    experiment_id: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]")] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Report what an experiment found: the one that runs, or the newest, unless one is named."""
    from nearer.flows.experiment import experiment_report

    run(folder, None, as_json, printing.experimented, lambda w: experiment_report(w, experiment_id))


@experiment.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why it ends now; kept with what it found.", metavar="TEXT")],
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """End the experiment that runs; live answers everybody again."""
    from nearer.flows.experiment import stop_experiment

    run(folder, None, as_json, printing.experimented, lambda w: stop_experiment(w, reason=reason))


@experiment.command("list")
def list_all(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """List the experiments, and how well offline differences forecast their effects."""
    from nearer.flows.experiment import experiments

    run(folder, None, as_json, printing.experiment_list, experiments)
