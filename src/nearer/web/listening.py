"""The socket that a service listens at."""

import socket

from nearer.core.errors import InputError

_BACKLOG = 2048


def listen_at(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError where it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        hint = "choose another: nearer serve --port 8081"
        raise InputError(f"cannot listen at {host}:{port}: {error.strerror or error}", hint=hint) from error


def shown_address(listening: socket.socket) -> str:
    """Where a socket listens, as an address shows it."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
