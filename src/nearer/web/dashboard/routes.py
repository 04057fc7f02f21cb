"""``/dashboard``: pages, their JSON twins, and the forms that change something, which need the scope admin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from nearer.core.errors import Conflict, InputError, NearerError
from nearer.core.results.base import Result
from nearer.flows.job import STARTED_BY_HAND, start_job
from nearer.flows.rollback import rollback
from nearer.flows.shadow import stop_shadow
from nearer.html_report import charts
from nearer.html_report.data import gather
from nearer.html_report.view import render
from nearer.store.keys import Keys, matching
from nearer.store.registry import utc_now
from nearer.web.access import COOKIE, LOGIN
from nearer.web.dashboard import pages
from nearer.web.dashboard.compare import compare_page
from nearer.web.dashboard.render import FOLDER, REPORT_POLICY, fault_page, page_of
from nearer.web.forms import form_of
from nearer.web.service import Service

_HOME = "/dashboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page: where it is, its template and title, and the record it shows."""

    path: str
    template: str
    title: str
    gather: Callable[[Service, Request], Result]
    here: str


_PAGES = (
    _Page(path="", template="overview.html", title="What is live", gather=lambda s, _: pages.overview(s), here=_HOME),
    _Page(
        path="/history",
        template="history.html",
        title="History",
        gather=lambda s, _: pages.history_page(s),
        here=f"{_HOME}/history",
    ),
    _Page(
        path="/rollback",
        template="rollback.html",
        title="Roll back?",
        gather=lambda s, _: pages.history_page(s),
        here=f"{_HOME}/history",
    ),
    _Page(
        path="/traffic",
        template="traffic.html",
        title="Traffic",
        gather=lambda s, _: pages.traffic_page(s),
        here=f"{_HOME}/traffic",
    ),
    _Page(
        path="/compare",
        template="compare.html",
        title="Two systems side by side",
        gather=lambda s, request: compare_page(s, **_asked(request, "query", "left", "right")),
        here=f"{_HOME}/compare",
    ),
    _Page(
        path="/shadow",
        template="shadow.html",
        title="In the shadow of live",
        gather=lambda s, _: pages.shadow_page(s),
        here=f"{_HOME}/shadow",
    ),
    _Page(
        path="/experiments",
        template="experiments.html",
        title="Experiments",
        gather=lambda s, request: pages.experiments_page(s, request.query_params.get("experiment", "")),
        here=f"{_HOME}/experiments",
    ),
    _Page(
        path="/turns",
        template="turns.html",
        title="Turns of the loop",
        gather=lambda s, _: pages.turns_page(s),
        here=f"{_HOME}/turns",
    ),
    _Page(
        path="/jobs", template="jobs.html", title="Jobs", gather=lambda s, _: pages.jobs_page(s), here=f"{_HOME}/jobs"
    ),
    _Page(
        path="/jobs/{job_id}",
        template="job.html",
        title="A job",
        gather=lambda s, request: pages.job_page(s, request.path_params["job_id"]),
        here=f"{_HOME}/jobs",
    ),
)


def dashboard_routes(service: Service) -> APIRouter:
    """The routes of the dashboard."""
    routes = APIRouter(prefix=_HOME, include_in_schema=False)
    for page in _PAGES:
        _add_twin(routes, service, page)
    for page in _PAGES:
        _add_page(routes, service, page)
    for path, form in _FORMS.items():
        _add_form(routes, service, path, form)
    _add_login(routes, service)
    _add_files(routes, service)
    return routes


def _add_page(routes: APIRouter, service: Service, page: _Page) -> None:
    async def html(request: Request) -> Response:
        try:
            found = await service.do(lambda _: page.gather(service, request))
        except NearerError as error:
            return fault_page("error.html", error, name=_name(service), here=page.here)
        twin = f"{request.url.path.removesuffix('/')}.json"
        query = f"?{request.url.query}" if request.url.query else ""
        return page_of(page.template, found, name=_name(service), title=page.title, here=page.here, twin=twin + query)

    routes.add_api_route(page.path, html, response_class=HTMLResponse)


def _add_twin(routes: APIRouter, service: Service, page: _Page) -> None:
    async def json(request: Request) -> Response:
        return JSONResponse((await service.do(lambda _: page.gather(service, request))).to_dict())

    routes.add_api_route(f"{page.path}.json", json)


def _add_form(routes: APIRouter, service: Service, path: str, form: "_Form") -> None:
    """Do what a form asks, and go to the page that shows it."""

    async def done(request: Request) -> Response:
        given = await form_of(request)
        try:
            return RedirectResponse(await service.do(lambda _: form.work(service, given)), status_code=303)
        except NearerError as error:
            return fault_page("error.html", error, name=_name(service), here=form.here)

    routes.add_api_route(path, done, methods=["POST"])


def _rolled_back(service: Service, given: Mapping[str, str]) -> str:
    if given.get("live") != service.workspace.registry.live_id():
        raise Conflict("something else is live meanwhile", hint="look at the history, then decide again")
    rollback(service.workspace)
    service.follower.wake()
    return f"{_HOME}/history"


def _job_started(service: Service, given: Mapping[str, str]) -> str:
    job = start_job(service.workspace, *_job_of(given))
    return f"{_HOME}/jobs/{job.job_id}"


def _shadow_started(service: Service, given: Mapping[str, str]) -> str:
    arguments = {"system": given.get("system", ""), "share": _number(given.get("share", "0.1"))}
    return f"{_HOME}/jobs/{start_job(service.workspace, 'shadow', arguments).job_id}"


def _shadow_stopped(service: Service, given: Mapping[str, str]) -> str:
    stop_shadow(service.workspace)
    return f"{_HOME}/shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What a form does, which returns the path to go to, and the link under which a fault is shown."""

    work: Callable[[Service, Mapping[str, str]], str]
    here: str


_FORMS = {
    "/rollback": _Form(work=_rolled_back, here=f"{_HOME}/history"),
    "/jobs": _Form(work=_job_started, here=f"{_HOME}/jobs"),
    "/shadow/start": _Form(work=_shadow_started, here=f"{_HOME}/shadow"),
    "/shadow/stop": _Form(work=_shadow_stopped, here=f"{_HOME}/shadow"),
}


def _add_login(routes: APIRouter, service: Service) -> None:
    path = LOGIN.removeprefix(_HOME)

    def shown(fault: str = "", status: int = 200) -> Response:
        return page_of("login.html", None, name=_name(service), title="Sign in", status=status, fault=fault)

    @routes.get(path)
    async def login() -> Response:
        return shown()

    @routes.post(path)
    async def sign_in(request: Request) -> Response:
        token = (await form_of(request)).get("key", "").strip()
        keys = await service.do(lambda _: Keys(service.workspace.database).all())
        if matching(token, keys) is None:
            return shown("No such key.", 401)
        answer = RedirectResponse(_HOME, status_code=303)
        is_secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token, path=_HOME, httponly=True, samesite="strict", secure=is_secure)
        return answer


def _add_files(routes: APIRouter, service: Service) -> None:
    @routes.get("/report")
    async def report() -> Response:
        html = await service.do(lambda _: render(gather(service.workspace, generated_at=utc_now())))
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

    @routes.get("/style.css")
    async def style() -> Response:
        files = (FOLDER / "style.css", charts.STYLE)
        return Response("\n".join(path.read_text(encoding="utf-8") for path in files), media_type="text/css")

    @routes.get("/page.js")
    async def script() -> Response:
        return FileResponse(FOLDER / "page.js", media_type="text/javascript")


def _name(service: Service) -> str:
    return service.workspace.recipe.name or f"Nearer {version('nearer')}"


def _asked(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params.get(name, "") for name in names}


def _job_of(given: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    """The verb and arguments of a form. Raises InputError."""
    verb = given.get("verb", "")
    if verb not in STARTED_BY_HAND:
        raise InputError(f"{verb!r} cannot be started here", hint=f"one of: {', '.join(STARTED_BY_HAND)}")
    if verb == "train" and given.get("budget"):
        return verb, {"budget": given["budget"]}
    if verb == "evaluate":
        return verb, {"systems": (given.get("system") or "live").split()}
    return verb, {}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no number", hint="for example 0.1") from error
