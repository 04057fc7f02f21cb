"""``nearer --help``: the verbs in sections, in the order in which a team meets them."""

from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "Begin": ("demo", "init", "add", "remove", "check", "doctor"),
    "Measure and decide": ("evaluate", "diagnose", "advise", "suite", "cost", "report", "export"),
    "Train": ("train", "merge", "compress"),
    "Release": ("promote", "rollback", "status", "history", "lineage", "index", "prune"),
    "Search and serve": ("search", "serve", "key", "mcp", "shadow", "arm"),
    "Learn from users": ("events", "clicks", "forget", "simulate", "experiment", "drift", "cycle"),
    "Judge by people and language models": ("label", "judge-sheet", "agreement", "judge", "synthesize"),
    "Keep and move": ("backup", "restore", "store"),
}


class Sectioned(TyperGroup):
    """A group of commands whose help has a heading for each section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section after another, the verbs with the whole first sentence of their help."""
        width = max(map(len, self.commands))
        for title, verbs in SECTIONS.items():
            rows = [
                (name.ljust(width), self.commands[name].get_short_help_str(limit=200).rstrip("."))
                for name in verbs
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
