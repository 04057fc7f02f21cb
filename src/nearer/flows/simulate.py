"""Users that are simulated: they ask for the queries of a split, and click as a stated model says."""

import csv
import json
import random
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from nearer.core.errors import InputError, ServiceError
from nearer.core.progress import Progress, Silent
from nearer.core.records import Query
from nearer.core.results.signals import Simulated
from nearer.evaluation.grades import scale_of
from nearer.serving.searcher import Searcher
from nearer.signals.explore import explore
from nearer.signals.simulate import USER_MODELS, UserModel, Users, asked_queries, attraction_of, clicks_of
from nearer.store.workspace import Workspace

_K = 10
_SESSIONS_A_USER = 5
_BETWEEN = timedelta(seconds=37)
_START = datetime(2026, 1, 1, tzinfo=UTC)
_TIMEOUT_S = 60
HEADER = ("session", "query", "doc", "position", "clicked", "user", "time", "propensity")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What is shown to a user, and how likely each document was to be where it is; ``query_id`` from a service."""

    doc_ids: tuple[str, ...]
    propensities: tuple[float, ...]
    query_id: str = ""


def simulate(  # noqa: PLR0913 (the settings of users)
    workspace: Workspace,
    to: str | Path,
    *,
    split: str = "dev",
    users: str = "position",
    sessions: int = 10_000,
    noise: float = 0.1,
    drift: float = 0.0,
    seed: int = 0,
    truth: Workspace | None = None,
    start: datetime = _START,
    progress: Progress | None = None,
) -> Simulated:
    """Let users ask for the judged queries of a split and click; ``to`` is a new CSV, or the address of a service.

    A file has the answers of the live release, in which ``search.explore`` swaps neighbours; a service answers itself,
    and is sent the clicks. ``users`` click as one of position, cascade, trust. Queries and grades are those of
    ``truth``, another workspace of the same documents, where users know more than this one. A file's searches begin at
    ``start``. Raises InputError for settings that cannot work and a file that is there, NotFound when nothing is live,
    ServiceError when the service does not answer.
    """
    stated = Users(model=_named(users), noise=noise, drift=drift)
    if not (0 <= noise <= 1 and 0 <= drift <= 1 and sessions >= 1):
        raise InputError("noise and drift are from 0 to 1, sessions at least 1", hint="see: nearer simulate --help")
    known = truth or workspace
    grades = {(each.query_id, each.doc_id): each.grade for each in known.collection.judgments(split)}
    judged = {query_id for query_id, _ in grades}
    queries = [query for query in known.collection.queries(split) if query.query_id in judged]
    if not queries:
        raise InputError(f"split {split!r} has no judged queries", hint="name another: nearer simulate --split test")
    rng, max_grade = np.random.default_rng(seed), scale_of(known).max_grade
    places = asked_queries(stated, num_queries=len(queries), num_sessions=sessions, rng=rng)

    def clicked(query: Query, page: _Page) -> list[bool]:
        seen = [grades.get((query.query_id, doc_id), 0) for doc_id in page.doc_ids]
        attract_R = np.array([attraction_of(grade, max_grade=max_grade, noise=noise) for grade in seen])
        return [bool(each) for each in clicks_of(stated, attract_R, rng)]

    tracked = (progress or Silent()).track(
        [queries[place] for place in places], label="simulate sessions", total=len(places)
    )
    if str(to).startswith(("http://", "https://")):
        num_impressions, num_clicks = _ask_service(str(to), tracked, clicked)
    else:
        num_impressions, num_clicks = _write(workspace, Path(to), tracked, clicked, seed=seed, start=start)
    return Simulated(
        to=str(to), users=stated.model, num_sessions=sessions, num_impressions=num_impressions, num_clicks=num_clicks
    )


def _named(users: str) -> UserModel:
    for each in USER_MODELS:
        if each == users:
            return each
    raise InputError(f"no users behave as {users!r}", hint=f"one of {', '.join(USER_MODELS)}")


def _write(
    workspace: Workspace,
    path: Path,
    asked: Iterator[Query] | Sequence[Query],
    clicked: Callable[[Query, _Page], list[bool]],
    *,
    seed: int,
    start: datetime,
) -> tuple[int, int]:
    """Write a log, a row for every document shown; how many were shown, and clicked."""
    if path.exists():
        raise InputError(f"{path} is there already", hint="name a new file")
    share, draws, found = workspace.recipe.search.explore, random.Random(seed), dict[str, tuple[str, ...]]()
    num_shown = num_clicked = 0
    with Searcher.open(workspace) as searcher, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, query in enumerate(asked):
            if query.text not in found:
                found[query.text] = tuple(hit.document.doc_id for hit in searcher.search(query.text, k=_K).hits)
            ranking = found[query.text]
            shown = explore(len(ranking), share=share, rng=draws)
            page = _Page(doc_ids=tuple(ranking[place] for place in shown.order), propensities=shown.propensities)
            marks = clicked(query, page)
            at = start + number * _BETWEEN
            for rank, (doc_id, mark) in enumerate(zip(page.doc_ids, marks, strict=True)):
                when = (at + timedelta(seconds=3 * (rank + 1) if mark else 0)).isoformat()
                row = (f"s{seed}-{number}", query.text, doc_id, rank + 1, int(mark), _user(number), when)
                writer.writerow([*row, page.propensities[rank]])
            num_shown, num_clicked = num_shown + len(marks), num_clicked + sum(marks)
    return num_shown, num_clicked


def _ask_service(
    url: str, asked: Iterator[Query] | Sequence[Query], clicked: Callable[[Query, _Page], list[bool]]
) -> tuple[int, int]:
    """Ask a service, and send it the clicks; how many documents were shown, and clicked."""
    num_shown = num_clicked = 0
    for number, query in enumerate(asked):
        who = {"user": _user(number), "session": f"s{number}"}
        answer = _post(f"{url.rstrip('/')}/v1/search", {"query": query.text, "k": _K, **who})
        page = _Page(doc_ids=tuple(each["doc_id"] for each in answer["results"]), propensities=())
        marks = clicked(query, page)
        events = [
            {
                "action_name": "click",
                "query_id": answer["query_id"],
                "object_id": doc_id,
                "client_id": who["user"],
                "session_id": who["session"],
                "event_id": f"{answer['query_id']}-{rank}",
                "event_attributes": {"position": {"ordinal": rank}},
            }
            for rank, (doc_id, mark) in enumerate(zip(page.doc_ids, marks, strict=True), start=1)
            if mark
        ]
        if events:
            _post(f"{url.rstrip('/')}/v1/events", events)
        num_shown, num_clicked = num_shown + len(marks), num_clicked + len(events)
    return num_shown, num_clicked


def _user(number: int) -> str:
    return f"simulated-{number // _SESSIONS_A_USER}"


def _post(url: str, body: object) -> Any:
    """The answer of a service. Raises ServiceError."""
    sent = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(sent, timeout=_TIMEOUT_S) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, ValueError, OSError) as error:
        hint = "start it without keys on this machine: nearer serve"
        raise ServiceError(f"{url} gave no usable answer: {error}", hint=hint) from error
