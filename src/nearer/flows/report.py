"""Write the HTML report."""

from collections.abc import Callable

from nearer.core.results.releases import WrittenReport
from nearer.html_report.data import gather
from nearer.html_report.view import render
from nearer.store.files import write_atomic
from nearer.store.registry import utc_now
from nearer.store.workspace import Workspace

REPORT_FILE = "report.html"


def report(workspace: Workspace, *, now: Callable[[], str] = utc_now) -> WrittenReport:
    """Write the report of a workspace to its folder of reports, replacing the last one."""
    page = render(gather(workspace, generated_at=now()))
    workspace.reports.mkdir(parents=True, exist_ok=True)
    path = workspace.reports / REPORT_FILE
    write_atomic(path, page)
    return WrittenReport(report=str(path), num_evaluations=len(workspace.results.evaluations()))
