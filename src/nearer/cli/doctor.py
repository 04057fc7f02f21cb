"""The verb that says what is installed, missing and misconfigured."""

from nearer import printing
from nearer.cli.options import HERE, AsJson, Folder, Overrides, app, show


@app.command()
def doctor(folder: Folder = HERE, as_json: AsJson = False, overrides: Overrides = None) -> None:
    """Say what is installed, missing and misconfigured, here and in a workspace; exit code 3 where there is a fault."""
    from nearer.flows.doctor import doctor as flow

    show(flow(folder, overrides=tuple(overrides or ())), as_json, printing.checked_up)
