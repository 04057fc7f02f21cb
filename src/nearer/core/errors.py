"""Every error that Nearer raises on purpose.

    NearerError
      x InputError              what was given cannot be used
        + ImportFaults          a file has faults, each with its line and remedy
        + RecipeError           nearer.toml or --set holds a value that cannot work
      x WorkspaceError          the folder is not a workspace, or cannot be used now
        + WorkspaceBusy         another process is writing
      x NotFound                an id that names nothing
      x SpaceMismatch           two vector spaces would have met
      x ModelRefused            a model that is unsafe, incomplete, or not the one that was registered
      x ServiceError            a service that we asked has not given a usable answer
      x Conflict                what we began with was changed under us
      x ProcessLost             another process of the same training has ended
      x Overloaded              more is asked at once than can be answered
      x DeadlineExceeded        an answer was not ready in time
      x NotReady                a service cannot answer yet
      x BudgetSpent             to go on may cost more money than was allowed

Each carries what is wrong (``message``) and the command or edit that mends it (``hint``).
"""

import re
from collections import Counter
from dataclasses import dataclass


class NearerError(Exception):
    """Something the user can mend."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(NearerError):
    """What was given cannot be used."""

    code = "bad_input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in an input file.

    ``line`` counts from 1; 0 means the file as a whole.
    """

    file: str
    line: int
    reason: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.reason} ({self.remedy})"


class FaultLog:
    """The faults of an import in bounded memory: the first ones whole, all of them counted."""

    KEPT = 1000
    MOST_REASONS = 100

    def __init__(self) -> None:
        self.kept: list[Fault] = []
        self.num_faults = 0
        self.num_rows = 0
        self.is_whole_file = False
        self.more: Counter[str] = Counter()
        """The faults that were not kept, by reason without what differs from row to row."""
        self._last = ("", -1)

    def add(self, fault: Fault) -> None:
        """Add a fault; those of one row follow each other."""
        self.num_faults += 1
        self.is_whole_file |= fault.line == 0
        where = fault.file, fault.line
        self.num_rows += where != self._last
        self._last = where
        if len(self.kept) < self.KEPT:
            self.kept.append(fault)
            return
        reason = re.sub(r"'[^']*'|[0-9]+", "...", fault.reason)
        self.more[reason if reason in self.more or len(self.more) < self.MOST_REASONS else "other faults"] += 1


class ImportFaults(InputError):
    """A file has faults; nothing was imported."""

    code = "import_faults"
    SHOWN = 20

    def __init__(self, log: FaultLog, *, hint: str = "", outcome: str = "nothing was imported") -> None:
        shown = "\n".join(f"  {fault}" for fault in log.kept[: self.SHOWN])
        left = log.num_faults - self.SHOWN
        more = f"\n  ... and {left} more; the first {log.KEPT} of all: --json" if left > 0 else ""
        count = f"{log.num_faults} fault{'s' if log.num_faults != 1 else ''}"
        super().__init__(f"{count} found, {outcome}:\n{shown}{more}", hint=hint)
        self.log = log


class RecipeError(InputError):
    """The recipe holds a value that cannot work."""

    code = "bad_recipe"


class WorkspaceError(NearerError):
    """The folder is not a workspace, or cannot be used now."""

    code = "workspace"


class WorkspaceBusy(WorkspaceError):
    """Another process is writing to this workspace."""

    code = "workspace_busy"


class NotFound(NearerError):
    """An id that names nothing."""

    code = "not_found"


class SpaceMismatch(NearerError):
    """Vectors of two spaces would have met."""

    code = "space_mismatch"


class ModelRefused(NearerError):
    """A model that is unsafe, incomplete, or not the one that was registered."""

    code = "model_refused"


class ServiceError(NearerError):
    """A service that we asked has not given a usable answer."""

    code = "service"


class Conflict(NearerError):
    """What a command began with was changed by another before it ended."""

    code = "conflict"


class ProcessLost(NearerError):
    """Another process of the same training has ended."""

    code = "process_lost"


class Overloaded(NearerError):
    """More is asked at once than can be answered."""

    code = "overloaded"


class DeadlineExceeded(NearerError):
    """An answer was not ready in time."""

    code = "deadline_exceeded"


class NotReady(NearerError):
    """A service cannot answer yet."""

    code = "not_ready"


class BudgetSpent(NearerError):
    """To go on may cost more money than was allowed."""

    code = "budget_spent"
