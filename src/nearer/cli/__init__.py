"""The command line: parse, open the workspace, call one flow, print. One module a group of verbs, which adds them."""

from nearer.cli.entry import main
from nearer.cli.verbs import whole_app

__all__ = ["main", "whole_app"]
