"""The socket that a service listens at."""

import socket

from nearer.core.errors import InputError

_BACKLOG = 2048


def listen_at(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError where it cannot.

    Each connection sends at once: asyncio asks for that only of sockets that name their protocol, and otherwise the end
    of an answer waits for the client to acknowledge its beginning, 40 ms on Linux.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        hint = "choose another: nearer serve --port 8081"
        raise InputError(f"cannot listen at {host}:{port}: {error.strerror or error}", hint=hint) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections have it from here
    return listening


def shown_address(listening: socket.socket) -> str:
    """Where a socket listens, as an address shows it."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
