"""The application: its routes, its errors and its limits."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.middleware.cors import CORSMiddleware

from nearer.core.errors import NotReady
from nearer.store.keys import Keys
from nearer.web.access import Access
from nearer.web.admin import admin_routes
from nearer.web.dashboard.routes import dashboard_routes
from nearer.web.documents import document_routes
from nearer.web.embeddings import embedding_routes
from nearer.web.errors import add_handlers
from nearer.web.events import event_routes
from nearer.web.gate import Gate
from nearer.web.label.routes import label_routes
from nearer.web.page import CONTENT_POLICY, reference_page
from nearer.web.rerank import rerank_routes
from nearer.web.schemas import ErrorAnswer, Health
from nearer.web.search import search_routes
from nearer.web.service import Service
from nearer.web.shadow import shadow_routes

_KEY = Depends(HTTPBearer(auto_error=False, description="A key: nearer key add NAME. Where there are none: nothing."))
_ROUTES = (
    search_routes,
    embedding_routes,
    rerank_routes,
    document_routes,
    event_routes,
    admin_routes,
    shadow_routes,
)
_DESCRIPTION = "Search, embeddings and reranking by what is live in a Nearer workspace."
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The request asks for what cannot be done."},
    401: {"model": ErrorAnswer, "description": "There are keys, and none was sent; or there are none."},
    403: {"model": ErrorAnswer, "description": "The key may not do this; or a page of another site asks."},
    404: {"model": ErrorAnswer, "description": "An id names nothing."},
    405: {"model": ErrorAnswer, "description": "This path does not take this method: see Allow."},
    409: {"model": ErrorAnswer, "description": "Something else was changed meanwhile: look, then ask again."},
    413: {"model": ErrorAnswer, "description": "The request is larger than the service takes."},
    422: {"model": ErrorAnswer, "description": "The body is not JSON, or lacks or has fields that it should not."},
    429: {"model": ErrorAnswer, "description": "Too much is asked at once: see Retry-After."},
    500: {"model": ErrorAnswer, "description": "The service failed; its log says why."},
    502: {"model": ErrorAnswer, "description": "The service that encodes gave no usable answer."},
    503: {"model": ErrorAnswer, "description": "The service is not ready: see Retry-After."},
    504: {"model": ErrorAnswer, "description": "There was no answer in time."},
}


def make_app(service: Service, *, origins: Sequence[str] = ()) -> FastAPI:
    """The application of a service, which it starts and closes; pages of ``origins`` may ask from a browser."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPI(
        title="Nearer",
        version=version("nearer"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
    )
    routers = [add(service) for add in _ROUTES]
    for each in routers:
        app.include_router(each, dependencies=[_KEY])
    app.include_router(dashboard_routes(service))
    app.include_router(label_routes(service.workspace, service.do))
    _add_health(app, service)
    add_handlers(app, [*app.routes, *(route for each in routers for route in each.routes)])
    app.add_middleware(Access, keys=Keys(service.workspace.database))
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Gate, body_bytes=service.limits.body_bytes, metrics=service.metrics, origins=origins)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(reference_page(app.openapi()), headers={"Content-Security-Policy": CONTENT_POLICY})

    return app


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", response_model=Health, tags=["health"], summary="Whether the process runs")
    async def healthz() -> JSONResponse:
        """Answer as long as the process runs."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz", response_model=Health, tags=["health"], summary="Whether searches are answered")
    async def readyz() -> JSONResponse:
        """Answer 200 once the live release has answered a first query, and until the service is told to end."""
        if service.is_ending:
            raise NotReady("the service is ending", hint="ask another one")
        return JSONResponse({"status": "ready", "release_id": service.searcher.served.release.release_id})

    @app.get(
        "/metrics",
        tags=["health"],
        summary="Numbers for Prometheus",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        dependencies=[_KEY],
    )
    async def metrics() -> Response:
        """Count requests, the time of each part, what waits, and how far the index is behind the documents."""
        return Response(await service.do(lambda _: service.measured()), media_type=CONTENT_TYPE_PLAIN_0_0_4)
