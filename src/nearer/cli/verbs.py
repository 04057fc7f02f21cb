"""Which module has which verb, so that a command loads the module of its own verb alone."""

from collections.abc import Sequence
from importlib import import_module

import typer

from nearer.cli.options import app

MODULES = {
    "agents": ("mcp",),
    "backup": ("backup", "restore"),
    "data": ("init", "add", "remove", "check", "judge-sheet", "export"),
    "doctor": ("doctor",),
    "experiments": ("experiment",),
    "loop": ("drift", "cycle"),
    "measuring": ("evaluate", "diagnose", "suite", "advise", "cost"),
    "models": ("train", "merge", "compress"),
    "llm": ("synthesize", "judge"),
    "people": ("label", "agreement"),
    "releases": ("index", "promote", "arm", "rollback", "status", "history", "lineage", "prune"),
    "reports": ("report", "demo"),
    "service": ("search", "serve", "key", "job"),
    "shadow": ("shadow",),
    "store": ("store",),
    "signals": ("clicks", "events", "forget", "simulate"),
}
"""The verbs of each module, as help lists them."""


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The app with the verb that comes first, or with every verb where that is none."""
    verb = next(iter(arguments), "--help")
    if verb == "--version":
        return app
    for module, verbs in MODULES.items():
        if verb in verbs:
            import_module(f"nearer.cli.{module}")
            return app
    return whole_app()


def whole_app() -> typer.Typer:
    """The app with every verb."""
    for module in MODULES:
        import_module(f"nearer.cli.{module}")
    return app
