"""``/label``: the pages on which people judge, and the forms that take what they say."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from nearer.core.errors import InputError, NearerError
from nearer.core.results.base import Result
from nearer.store.keys import Keys, matching
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace
from nearer.web.access import COOKIE, KEY_NAME, LABEL, LABEL_LOGIN
from nearer.web.dashboard.render import FOLDER, fault_page, page_of
from nearer.web.forms import form_of
from nearer.web.label.pages import mine_page, pair_page, sets_page, settle_page

T = TypeVar("T")
Do = Callable[[Callable[[float], T]], Awaitable[T]]
RATER = "nearer_rater"
_MOST_NAME = 100


def label_routes(workspace: Workspace, do: "Do[Result | str | RedirectResponse]") -> APIRouter:
    """The routes of labelling; ``do`` works in a thread, as the service does."""
    routes, pages = APIRouter(prefix=LABEL, include_in_schema=False), _Pages(workspace, do)
    routes.add_api_route("/login", pages.login)
    routes.add_api_route("/login", pages.sign_in, methods=["POST"])
    routes.add_api_route("/style.css", _file(FOLDER / "style.css", "text/css"))
    routes.add_api_route("/label.js", _file(Path(__file__).parent / "label.js", "text/javascript"))
    routes.add_api_route("", pages.sets)
    routes.add_api_route("/{name}", pages.next)
    routes.add_api_route("/{name}", pages.rated, methods=["POST"])
    routes.add_api_route("/{name}/mine", pages.mine)
    routes.add_api_route("/{name}/pair/{pair_id}", pages.again)
    routes.add_api_route("/{name}/settle", pages.settle)
    routes.add_api_route("/{name}/settle", pages.settled, methods=["POST"])
    return routes


class _Pages:
    """What each route answers."""

    def __init__(self, workspace: Workspace, do: "Do[Result | str | RedirectResponse]") -> None:
        self._workspace, self._do = workspace, do
        self._labels = Labels(workspace.database)

    async def sets(self, request: Request) -> Response:
        """The list of sets; the set itself where there is one."""
        found = await self._do(lambda _: sets_page(self._labels, _rater(request)))
        assert isinstance(found, Result)
        if len(found["sets"]) == 1:
            return RedirectResponse(f"{LABEL}/{found['sets'][0]['set_id']}", status_code=303)
        return self._page("label_sets.html", found, title="What to judge")

    async def next(self, request: Request, name: str) -> Response:
        """The next pair of a set."""
        said = _SAID.get(request.query_params.get("said", ""), "")
        return await self._shown(
            request, "label.html", lambda rater: pair_page(self._labels, name, rater, said=said), title="Judge"
        )

    async def again(self, request: Request, name: str, pair_id: str) -> Response:
        """A pair that the rater judged, to be corrected."""
        return await self._shown(
            request,
            "label.html",
            lambda rater: pair_page(self._labels, name, rater, pair_id=pair_id),
            title="Judge again",
        )

    async def mine(self, request: Request, name: str) -> Response:
        """What the rater judged."""
        return await self._shown(
            request, "label_mine.html", lambda rater: mine_page(self._labels, name, rater), title="Your ratings"
        )

    async def settle(self, request: Request, name: str) -> Response:
        """The adjudication queue."""
        return await self._shown(
            request, "label_settle.html", lambda _: settle_page(self._labels, name), title="Settle disagreements"
        )

    async def rated(self, request: Request, name: str) -> Response:
        """Take a grade, skip, undo or un-rate, then show the next pair."""
        given = await form_of(request)
        return await self._done(request, lambda rater: f"{LABEL}/{name}?said={self._act(name, given, rater)}")

    async def settled(self, request: Request, name: str) -> Response:
        """Take a decision, then show the next disagreement."""
        given = await form_of(request)

        def settle(rater: str) -> str:
            set_id = self._labels.get(name).set_id
            self._labels.settle(set_id, given.get("pair", ""), rater, grade=_grade(given.get("grade", "")))
            return f"{LABEL}/{name}/settle"

        return await self._done(request, settle)

    async def login(self) -> Response:
        """Ask who rates: by a key where there are keys, by a name where there are none."""
        return await self._login("", 200)

    async def sign_in(self, request: Request) -> Response:
        """Keep the key, or the name, in a cookie of these pages."""
        given = await form_of(request)
        keys = Keys(self._workspace.database).all()
        answer = RedirectResponse(LABEL, status_code=303)
        is_secure = request.url.scheme == "https"
        if keys:
            token = given.get("key", "")
            if matching(token, keys) is None:
                return await self._login("No such key.", 401)
            answer.set_cookie(COOKIE, token, path=LABEL, httponly=True, samesite="strict", secure=is_secure)
            return answer
        rater = " ".join(given.get("rater", "").split())
        if not rater or len(rater) > _MOST_NAME or not rater.isprintable():
            return await self._login(f"A name has 1 to {_MOST_NAME} characters.", 400)
        value = rater.encode("utf-8").hex()  # cookies are ASCII
        answer.set_cookie(RATER, value, path=LABEL, httponly=True, samesite="strict", secure=is_secure)
        return answer

    async def _login(self, fault: str, status: int) -> Response:
        has_keys = "yes" if Keys(self._workspace.database).all() else ""
        return self._page("label_login.html", None, title="Who judges?", status=status, fault=fault, has_keys=has_keys)

    def _act(self, name: str, given: Mapping[str, str], rater: str) -> str:
        set_id, pair_id = self._labels.get(name).set_id, given.get("pair", "")
        match given.get("action", ""):
            case "skip":
                self._labels.skip(set_id, pair_id, rater)
                return "skipped"
            case "undo":
                return "undone" if self._labels.undo(set_id, rater) else "nothing"
            case "unrate":
                return "unrated" if self._labels.unrate(set_id, pair_id, rater) else "unknown"
            case _:
                grade = _grade(given.get("grade", ""))
                self._labels.rate(set_id, pair_id, rater, grade=grade, reason=given.get("reason", ""))
                return "rated"

    async def _shown(self, request: Request, template: str, gather: Callable[[str], Result], *, title: str) -> Response:
        if not (rater := _rater(request)):
            return RedirectResponse(LABEL_LOGIN, status_code=303)
        try:
            found = await self._do(lambda _: gather(rater))
        except NearerError as error:
            return self._fault(error)
        assert isinstance(found, Result)
        return self._page(template, found, title=title)

    async def _done(self, request: Request, work: Callable[[str], str]) -> Response:
        if not (rater := _rater(request)):
            return RedirectResponse(LABEL_LOGIN, status_code=303)
        try:
            target = await self._do(lambda _: work(rater))
        except NearerError as error:
            return self._fault(error)
        assert isinstance(target, str)
        return RedirectResponse(target, status_code=303)

    def _fault(self, error: NearerError) -> Response:
        return fault_page("label_fault.html", error, name=self._name)

    def _page(self, template: str, page: Result | None, *, title: str, status: int = 200, **more: str) -> Response:
        return page_of(template, page, name=self._name, title=title, status=status, **more)

    @property
    def _name(self) -> str:
        return self._workspace.recipe.name or "Nearer"


_SAID = {
    "rated": "Kept. U takes it back.",
    "skipped": "Skipped. U takes it back.",
    "undone": "Taken back; judge it again.",
    "nothing": "There is nothing to take back.",
    "unrated": "The rating is gone; the pair waits for ratings again.",
    "unknown": "This pair has no rating of yours yet.",
}


def _rater(request: Request) -> str:
    """Who asks: the name of the key, or the name that was given on this machine; empty where nobody said."""
    if name := request.scope.get(KEY_NAME):
        return str(name)
    try:
        return bytes.fromhex(request.cookies.get(RATER, "")).decode("utf-8")
    except ValueError:
        return ""


def _grade(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise InputError(f"{text[:20]!r} is no grade", hint="press one of the grades")
    return int(text)


def _file(path: Path, kind: str) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return FileResponse(path, media_type=kind)

    return file
