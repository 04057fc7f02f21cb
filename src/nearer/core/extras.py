"""Libraries that only some users need: one that is not installed is an error with the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from nearer.core.errors import InputError


@contextmanager
def extra(name: str, *, used_for: str) -> Iterator[None]:
    """Import here what the extra ``name`` of this package installs.

    Raises InputError where a library is not installed.

    >>> with extra("api", used_for="an encoder behind an API"):
    ...     import no_such_library
    Traceback (most recent call last):
    nearer.core.errors.InputError: an encoder behind an API needs no_such_library, which is not installed
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{used_for} needs {error.name}, which is not installed"
        raise InputError(message, hint=f"install it: pip install 'nearer[{name}]'") from error
