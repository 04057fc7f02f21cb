"""The command line: parse, open the workspace, call one flow, print. One module a group of verbs, which adds them."""

from nearer.cli import (  # noqa: F401
    backup,
    data,
    experiments,
    loop,
    measuring,
    models,
    releases,
    reports,
    service,
    shadow,
    signals,
)
from nearer.cli.entry import main
from nearer.cli.options import app

__all__ = ["app", "main"]
