"""``/v1/admin/shadow``: a candidate is asked what live is asked. It needs a key of the scope admin."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from nearer.core.results.service import JobEntry
from nearer.core.results.shadow import ShadowReport
from nearer.flows.job import start_job
from nearer.flows.shadow import shadow_report, stop_shadow
from nearer.web.schemas import ShadowRequest
from nearer.web.service import Service


def shadow_routes(service: Service) -> APIRouter:
    """The routes of the shadow."""
    routes = APIRouter(prefix="/v1/admin/shadow", tags=["admin"])
    workspace = service.workspace

    @routes.post("", response_model=JobEntry, status_code=202, summary="Shadow live, as a job")
    async def start(request: ShadowRequest) -> JSONResponse:
        """Build a system's index, and ask it a share of what live is asked; users see live's answers alone."""
        job = await service.do(lambda _: start_job(workspace, "shadow", request.model_dump()))
        return JSONResponse(job.to_dict(), status_code=202)

    @routes.get("", response_model=ShadowReport, summary="The shadow's report")
    async def report() -> JSONResponse:
        """Compare what the candidate in the shadow, or the last one, answered with what live did."""
        return JSONResponse((await service.do(lambda _: shadow_report(workspace))).to_dict())

    @routes.delete("", response_model=ShadowReport, summary="End the shadow")
    async def stop() -> JSONResponse:
        """Take the candidate out of the shadow; what it answered is kept."""
        return JSONResponse((await service.do(lambda _: stop_shadow(workspace))).to_dict())

    return routes
