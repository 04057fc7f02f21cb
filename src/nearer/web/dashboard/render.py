"""Records as pages; everything that came from data is escaped, and a page may use its own files alone."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from nearer.core.errors import NearerError
from nearer.core.escape import escape_controls
from nearer.core.results.base import Result
from nearer.html_report.formats import moment
from nearer.web.dashboard.pictures import effects_picture, turns_picture
from nearer.web.errors import shown

FOLDER = Path(__file__).parent
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
LINKS = (
    ("/dashboard", "Live"),
    ("/dashboard/history", "History"),
    ("/dashboard/traffic", "Traffic"),
    ("/dashboard/compare", "Compare"),
    ("/dashboard/shadow", "Shadow"),
    ("/dashboard/experiments", "Experiments"),
    ("/dashboard/turns", "Turns"),
    ("/dashboard/jobs", "Jobs"),
    ("/dashboard/report", "Report"),
)
_HEADERS = {"Content-Security-Policy": CONTENT_POLICY, "Referrer-Policy": "same-origin"}
_templates = Environment(
    loader=FileSystemLoader([FOLDER, FOLDER.parent / "label"]),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=escape_controls,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["moment"] = moment
_templates.globals |= {"effects_picture": effects_picture, "turns_picture": turns_picture}


def page_of(
    template: str,
    page: Result | None,
    *,
    name: str,
    title: str,
    here: str = "",
    twin: str = "",
    status: int = 200,
    **more: str,
) -> HTMLResponse:
    """A page from its record; ``here`` is the path of the link that leads to it, ``twin`` that of its JSON."""
    html = _templates.get_template(template).render(
        page=page if page is not None else more,
        name=name,
        title=title,
        here=here,
        twin=twin,
        links=LINKS if here else (),
    )
    return HTMLResponse(html.encode("utf-8", errors="replace"), status_code=status, headers=_HEADERS)


def fault_page(template: str, error: NearerError, *, name: str, here: str = "") -> HTMLResponse:
    """The page of an error: what a client may see of it, under its status."""
    seen = shown(error)
    texts = {"message": seen.message, "hint": seen.hint}
    return page_of(template, None, name=name, title="It cannot be done", here=here, status=seen.status, **texts)
