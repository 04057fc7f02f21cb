"""``nearer label --port``: the pages of labelling alone, without a model, until it is told to end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response

from nearer.core.errors import InputError
from nearer.store.keys import Keys
from nearer.store.workspace import Workspace
from nearer.web.access import LABEL, Access, is_loopback
from nearer.web.errors import add_handlers
from nearer.web.gate import Gate
from nearer.web.label.routes import label_routes
from nearer.web.limits import Limits
from nearer.web.listening import listen_at, shown_address
from nearer.web.metrics import Metrics
from nearer.web.work import Work


def label_app(workspace: Workspace) -> FastAPI:
    """The application of labelling alone."""
    work = Work(Limits(threads=8))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()

    app = FastAPI(title="Nearer", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    routes = label_routes(workspace, work.do)
    app.include_router(routes)

    @app.get("/")
    async def home() -> Response:
        return RedirectResponse(LABEL, status_code=303)

    add_handlers(app, [*app.routes, *routes.routes])
    app.add_middleware(Access, keys=Keys(workspace.database))
    app.add_middleware(Gate, body_bytes=2**20, metrics=Metrics())
    return app


def serve_labels(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int = 8081,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C. A port of 0 is any that is free.

    Raises InputError for an address that cannot be listened at, and for one that other machines reach while there are
    no keys.
    """
    if not is_loopback(host) and not Keys(workspace.database).all():
        hint = "make each rater a key first: nearer key add ANN --scope label"
        raise InputError(f"without keys the pages are for loopback alone, not for {host}", hint=hint)
    listening = listen_at(host, port)
    say(f"judging at http://{shown_address(listening)}{LABEL}")
    server = uvicorn.Server(
        uvicorn.Config(label_app(workspace), log_level="warning", access_log=False, server_header=False)
    )
    server.run(sockets=[listening])
