"""The way in: run the app, print errors, and say how it went by an exit code.

Exit codes: 0 done; 1 an internal failure; 2 bad input or usage; 3 done, and the verdict is no.
"""

import io
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, NoReturn

import typer

from nearer.cli.options import BEGAN
from nearer.cli.verbs import app_for
from nearer.core.errors import ImportFaults, NearerError
from nearer.core.escape import escape_controls
from nearer.printing.progress import ConsoleProgress, WarningLines, end_all

EXIT_INTERNAL, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 130

_ParserError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What the parser raises for bad usage: click's own class, or that of the copy of click inside newer typers."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; errors are printed without a traceback unless --debug is given."""
    BEGAN.set(time.monotonic())
    given = sys.argv[1:] if arguments is None else arguments
    debug, given = "--debug" in given, [argument for argument in given if argument != "--debug"]
    as_json = "--json" in given and os.environ.get("RANK", "0") == "0"  # stdout is the first process's alone
    _quieten_libraries()
    _survive_strange_text()
    _show_warnings()
    try:
        with _joined() as is_first:
            app = app_for(given)
            code = app(given or ["--help"], prog_name="nearer", standalone_mode=False) if is_first else 0
            if code == EXIT_INTERRUPTED:  # the parser turns Ctrl-C into this
                raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except ImportFaults as error:
        log = error.log
        faults = {"faults": [asdict(fault) for fault in log.kept], "num_faults": log.num_faults, "more": dict(log.more)}
        _fail(EXIT_INPUT, error.code, error.message, error.hint, as_json=as_json, debug=debug, faults=faults)
    except NearerError as error:
        _fail(EXIT_INPUT, error.code, error.message, error.hint, as_json=as_json, debug=debug)
    except _ParserError as error:
        _fail(EXIT_INPUT, "usage", error.format_message(), "see: nearer --help", as_json=as_json, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        what = "interrupted; nothing half done is live"
        _fail(EXIT_INTERRUPTED, "interrupted", what, "repeat the command", as_json=as_json)
    except OSError as error:
        what = (
            f"{error.filename}: {error.strerror}" if error.filename else f"the system says: {error.strerror or error}"
        )
        hint = "check the path, its permissions and the room on the disk, then repeat the command"
        _fail(EXIT_INPUT, "system", what, hint, as_json=as_json, debug=debug)
    except Exception as error:
        hint = "please report this, with what --debug prints"
        _fail(EXIT_INTERNAL, "internal", f"{type(error).__name__}: {error}", hint, as_json=as_json, debug=debug)


def _joined() -> AbstractContextManager[bool]:
    """Whether this process is to do the work: always, unless torchrun started several and this is not their first."""
    if not os.environ.keys() >= {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}:
        return nullcontext(True)
    if os.environ["RANK"] == "0" and (number := int(os.environ["WORLD_SIZE"])) > 1:
        ConsoleProgress().say(f"the first of {number} processes: the others take part where an encoder is trained")
    from nearer.learn.worker import joined

    return joined()


def _fail(
    exit_code: int,
    code: str,
    message: str,
    hint: str,
    *,
    as_json: bool,
    debug: bool = False,
    faults: Mapping[str, object] | None = None,
) -> NoReturn:
    end_all()
    if debug:
        typer.echo(escape_controls(traceback.format_exc()), err=True)
    if as_json:
        error = {"code": code, "message": message, "hint": hint, **(faults or {})}
        typer.echo(json.dumps({"error": error}))
    else:
        typer.echo(escape_controls(f"nearer: {message}" + (f"\n  -> {hint}" if hint else "")), err=True)
    if exit_code == EXIT_INTERRUPTED and any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.stdout.flush()
        os._exit(exit_code)  # a thread that waits for a service is not waited for
    sys.exit(exit_code)


def _quieten_libraries() -> None:
    """Keep other libraries' progress bars and notices off the screen; their errors still show."""
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("LANCEDB_LOG", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it looks for them among all that is installed


def _show_warnings() -> None:
    """Show what the library warns of, such as for whom it waits, as a line of the progress."""
    log = logging.getLogger("nearer")
    if not log.handlers:
        log.addHandler(WarningLines(ConsoleProgress()))
        log.propagate = False


def _survive_strange_text() -> None:
    """Show what the terminal's encoding lacks as an escape, rather than fail after the work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
