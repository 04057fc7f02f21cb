"""The durable steps by name: the moments between which a killed process must leave nothing half done.

Each is one call ``reached("index.manifest")`` right after the step is on the disk. Tests kill a process at every one
of them; ``docs/reliability.md`` lists them.
"""

import os
import signal
from collections import Counter

DIE_AT = "NEARER_DIE_AT"
"""The environment variable that names where to die: a step, or ``step:3`` for its third time."""

_times: Counter[str] = Counter()


def reached(step: str) -> None:
    """Say that a durable step is done; the process kills itself here when ``NEARER_DIE_AT`` names this time of it."""
    where = os.environ.get(DIE_AT)
    if where is None:
        return
    _times[step] += 1
    name, _, number = where.partition(":")
    if name == step and _times[step] == int(number or 1):
        os.kill(os.getpid(), signal.SIGKILL)
