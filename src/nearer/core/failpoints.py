"""The failpoints: named moments between which a killed process must leave nothing half done.

Each is one call ``failpoint("index.manifest")`` right after that step is on the disk. Tests set ``handler`` to kill the
process, or to raise, at every one of them; nothing in the program sets it, and no environment variable does.
"""

from collections.abc import Callable

handler: Callable[[str], None] | None = None
"""What happens at a failpoint, given its name; nothing, unless a test sets it."""


def failpoint(name: str) -> None:
    """Say that a durable step is done."""
    if handler is not None:
        handler(name)
