"""What verbs share: the app, common options, and running a flow on a workspace and printing its result."""

import json
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from nearer.cli.sections import Sectioned
from nearer.core.durations import TimeLimit, seconds_of
from nearer.core.errors import NearerError
from nearer.core.escape import escape_controls
from nearer.core.results.base import Result

if TYPE_CHECKING:
    from nearer.store.workspace import Workspace

N = TypeVar("N", int, float)
R = TypeVar("R", bound=Result)

EXIT_NO = 3
_NO = frozenset({"refused", "faults", "not identified", "broken", "harm", "worse", "poor", "not offered"})

app = typer.Typer(
    cls=Sectioned,
    help="Make search understand what relevant means in your own domain.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Option("--dir", "-C", help="The workspace.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Set a recipe value for this run.", metavar="SECTION.KEY=VALUE")
]
Seed = Annotated[int, typer.Option(help="Of all draws.")]
PooledSystems = Annotated[
    list[str] | None, typer.Option("--system", help="What is pooled; live (or base) and bm25 unless given.")
]
PoolDepth = Annotated[int, typer.Option(help="Documents of each system for a query.")]
HERE = Path()
BEGAN: ContextVar[float | None] = ContextVar("BEGAN", default=None)
"""When the command began, by the monotonic clock: a time to keep counts from then, loading libraries included."""


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


def numbers(text: str, kind: Callable[[str], N], option: str) -> list[N]:
    """The numbers of an option that takes several, with commas between."""
    try:
        return [kind(each) for each in text.split(",")] if text else []
    except ValueError as error:
        raise UsageFault(f"{option} {text}: not numbers with commas between", hint=f"{option} 384,1024") from error


def time_limit(text: str | None) -> TimeLimit | None:
    """The time that --budget gives, which began when the command did."""
    return None if text is None else TimeLimit(seconds=seconds_of(text, option="--budget"), began=BEGAN.get())


def named(texts: list[str], option: str) -> dict[str, object]:
    """The values of an option that is given as FIELD=VALUE, several times."""
    pairs = [text.partition("=") for text in texts]
    if faulty := [text for text, (name, sign, _) in zip(texts, pairs, strict=True) if not (name and sign)]:
        raise UsageFault(f"{option} {faulty[0]!r} is not FIELD=VALUE", hint=f"for example: {option} year=2024")
    return {name.strip(): value.strip() for name, _, value in pairs}


def run(
    folder: Path,
    overrides: list[str] | None,
    as_json: bool,
    text_of: Callable[[R], str],
    flow: "Callable[[Workspace], R]",
    *,
    only_looks: bool = False,
) -> None:
    """Open the workspace, or only look at it, do ``flow`` and show what it gives."""
    from nearer.store.workspace import Workspace

    opened = Workspace.look if only_looks else Workspace.open
    with opened(folder, overrides=tuple(overrides or ())) as workspace:
        result = flow(workspace)
    show(result, as_json, text_of)


def show(result: R, as_json: bool, text_of: Callable[[R], str]) -> None:
    """Print a result, as text or as one JSON object. Exits with 3 where the verdict is no."""
    typer.echo(json.dumps(result.to_dict(), allow_nan=False) if as_json else escape_controls(text_of(result)))
    if result.get("verdict") in _NO:
        raise typer.Exit(EXIT_NO)
