"""``nearer serve``: the application in a server of its own, until it is told to end."""

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import torch
import uvicorn
from threadpoolctl import threadpool_limits

from nearer.core.errors import InputError
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace
from nearer.web.access import is_loopback
from nearer.web.app import make_app
from nearer.web.limits import Limits
from nearer.web.listening import listen_at, shown_address
from nearer.web.service import Service
from nearer.web.workers import Workers, announce


def serve(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    origins: Sequence[str] = (),
    limits: Limits | None = None,
    num_processes: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C, then those at hand, and return. A port of 0 is any that is free.

    Pages of ``origins`` may ask from a browser. Each of several processes holds the model. Raises InputError for an
    address that cannot be listened at, and for one that other machines reach while there are no keys.
    """
    _refuse_open(workspace, host)
    listening = listen_at(host, port)
    announce(say, shown_address(listening), num_processes)
    if num_processes == 1:
        serve_at(workspace, listening, origins=origins, limits=limits)
    else:
        Workers(workspace.folder.resolve(), listening, number=num_processes, origins=origins, limits=limits).run()


def serve_agents(workspace: Workspace) -> None:
    """Answer agents on stdin and stdout by the Model Context Protocol, until stdin ends."""
    from nearer.web.agents import make_server

    set_threads(1)
    service = Service(workspace)
    service.start()
    try:
        make_server(service).run("stdio")
    finally:
        service.close()


def serve_agents_at(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 8081,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Answer agents over streamable HTTP until SIGTERM or Ctrl-C. Raises InputError as ``serve`` does."""
    from nearer.web.agents import PATH, make_agents_app

    _refuse_open(workspace, host)
    listening = listen_at(host, port)
    say(f"agents ask at http://{shown_address(listening)}{PATH}")
    set_threads(1)
    service = Service(workspace)
    service.start()
    config = uvicorn.Config(
        make_agents_app(service, host=host), log_level="warning", access_log=False, server_header=False
    )
    try:
        _Server(config, service).run(sockets=[listening])
    finally:
        service.close()


def serve_at(
    workspace: Workspace,
    listening: socket.socket,
    *,
    origins: Sequence[str] = (),
    limits: Limits | None = None,
    num_processes: int = 1,
) -> None:
    """Answer what comes to a socket until SIGTERM or Ctrl-C; one of so many processes."""
    set_threads(num_processes)
    _load_libraries()
    service = Service(workspace, limits=limits)
    config = uvicorn.Config(
        make_app(service, origins=origins),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(service.limits.deadline_s) + 5,
    )
    _Server(config, service).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that ends without an error when it is told to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have SIGTERM and Ctrl-C end the serving, a second Ctrl-C at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no new connections, and say so at /readyz."""
        self._service.is_ending = True
        super().handle_exit(sig, frame)


def _refuse_open(workspace: Workspace, host: str) -> None:
    """Raises InputError for an address that other machines reach while there are no keys."""
    if not is_loopback(host) and not Keys(workspace.database).all():
        hint = "make a key first: nearer key add NAME --scope read"
        raise InputError(f"without keys the service listens on loopback alone, not at {host}", hint=hint)


def _load_libraries() -> None:
    """Load what every model needs, and have the garbage collector look at it no more.

    A collection stops all threads as long as it looks, and one follows each swap.
    """
    import sentence_transformers  # noqa: F401 (half a million objects, for good)

    gc.collect()
    gc.freeze()


def set_threads(num_processes: int) -> None:
    """Encode with as many threads as there are cores for this process, unless OMP_NUM_THREADS says otherwise.

    One thread encodes for everybody, so that its product alone has the cores. Those of searches take one thread each:
    a second one goes on spinning for a while, and made the next encoding 2.5 times as slow on two cores.
    """
    threadpool_limits(limits=1, user_api="blas")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // num_processes))
