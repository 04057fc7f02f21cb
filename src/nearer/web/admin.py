"""``/v1/admin``: what is live, moving it, and jobs. It needs a key of the scope admin."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

from nearer.core.results.base import JSON
from nearer.core.results.service import JobEntry
from nearer.flows.job import start_job
from nearer.flows.prune import prune
from nearer.flows.rollback import rollback
from nearer.store.jobs import ENDED, Jobs
from nearer.store.registered import Release
from nearer.web.schemas import JobList, PromoteRequest, PruneRequest, Releases, respond
from nearer.web.service import Service

_POLL_S = 0.2


def admin_routes(service: Service) -> APIRouter:
    """The routes of releases and jobs."""
    routes = APIRouter(prefix="/v1/admin", tags=["admin"])
    workspace = service.workspace

    @routes.get("/releases", response_model=Releases, summary="What is live, and what was")
    async def releases() -> Response:
        """Tell what is live, what a rollback returns to, and all that happened to the live release."""
        return respond(await service.do(lambda _: _releases(service)))

    @routes.post("/promote", response_model=JobEntry, status_code=202, summary="Promote a system, as a job")
    async def promote(request: PromoteRequest) -> JSONResponse:
        """Judge a system, and make it live if the gate lets it through; a former release goes live again at once."""
        arguments = request.model_dump(exclude_none=True)
        job = await service.do(lambda _: start_job(workspace, "promote", arguments))
        return JSONResponse(job.to_dict(), status_code=202)

    @routes.post("/rollback", summary="Roll back")
    async def back() -> JSONResponse:
        """Make live again what was live before; the service follows within a second."""
        answer = JSONResponse((await service.do(lambda _: rollback(workspace))).to_dict())
        service.follower.wake()
        return answer

    @routes.post("/prune", summary="Give space back")
    async def remove(request: PruneRequest) -> JSONResponse:
        """Remove models that were never released, their indexes and vectors, and old reports."""
        pruned = await service.do(lambda _: prune(workspace, keep=request.keep, dry_run=request.dry_run))
        return JSONResponse(pruned.to_dict())

    @routes.get("/jobs", response_model=JobList, summary="List jobs")
    async def jobs() -> JSONResponse:
        """List the newest hundred jobs, newest first."""
        found = await service.do(lambda _: Jobs(workspace).all())
        return JSONResponse({"jobs": [job.to_dict() for job in found]})

    @routes.get("/jobs/{job_id}", response_model=JobEntry, summary="One job")
    async def one(job_id: str) -> JSONResponse:
        """Tell how a job stands."""
        return JSONResponse((await service.do(lambda _: Jobs(workspace).get(job_id))).to_dict())

    @routes.get("/jobs/{job_id}/events", response_class=StreamingResponse, summary="Follow a job")
    async def events(job_id: str) -> StreamingResponse:
        """Send what a job says as server-sent events, ``progress`` each, from its beginning; ``ended`` is the last."""
        await service.do(lambda _: Jobs(workspace).get(job_id))
        return StreamingResponse(_events(service, job_id), media_type="text/event-stream")

    return routes


async def _events(service: Service, job_id: str) -> AsyncIterator[str]:
    jobs, place = Jobs(service.workspace), 0
    while not service.is_ending:
        job = await service.do(lambda _: jobs.get(job_id))  # first: what was said before it ended is read after it
        said, place = jobs.progress(job_id, after=place)
        for each in said:
            yield _event("progress", each)
        if job.state in ENDED:
            yield _event("ended", job.to_dict())
            return
        await asyncio.sleep(_POLL_S)


def _event(name: str, content: JSON) -> str:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n"


def _releases(service: Service) -> Releases:
    registry = service.workspace.registry
    served = service.follower.served
    return Releases(
        live=_release(registry.live()),
        previous=_release(registry.previous()),
        served=served.release.release_id if served else None,
        history=[asdict(event) for event in registry.history()],
    )


def _release(release: Release | None) -> JSON | None:
    return None if release is None else {**asdict(release), "system": dict(release.system)}
