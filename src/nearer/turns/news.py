"""What there is to learn from, and whether that is more than the last turn had."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from nearer.core.ids import content_id
from nearer.core.results.base import JSON
from nearer.signals.log import read_log
from nearer.store.events.columns import seconds
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace

FEWEST_SEARCHES = 100
"""So many new searches, with as much else as before, make a turn. Our rule: fewer move no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What the event log holds, ``until`` its last search; ``judged_id`` is of what people, files and models judged."""

    num_searches: int
    num_events: int
    until: str
    judged_id: str
    recipe_id: str


def read_news(workspace: Workspace) -> News:
    """What there is to learn from now. Raises WorkspaceError where the event log cannot be read."""
    log, collection = read_log(event_folder(workspace)), workspace.collection
    at_I = seconds(log.impressions["at"])
    last = float(np.nanmax(at_I)) if np.isfinite(at_I).any() else 0.0
    judged = [_judgment(each) for each in collection.all_judgments() if each.source != "clicks"]
    pairs = [asdict(each) for each in collection.pairs()]
    return News(
        num_searches=log.impressions.num_rows,
        num_events=log.events.num_rows,
        until=datetime.fromtimestamp(last, UTC).isoformat(timespec="microseconds"),
        judged_id=content_id("judged", [judged, pairs]),
        recipe_id=content_id("recipe", workspace.recipe.model_dump(mode="json", exclude={"store"})),
    )


def why_nothing_to_learn(news: News, last: JSON | None) -> str | None:
    """Why a turn would learn nothing that the last one did not; None where it would."""
    if last is None or (news.judged_id, news.recipe_id) != (last["judged_id"], last["recipe_id"]):
        return None
    more = news.num_searches - int(last["num_searches"])
    if more >= FEWEST_SEARCHES:
        return None
    said = f"{more} searches came in" if more > 0 else "nothing came in"
    return f"{said} since the last turn, and judgments and recipe are the same; a turn needs {FEWEST_SEARCHES} searches"


def data_id(workspace: Workspace) -> str:
    """The id of all that training and measuring see: texts, judgments of every source, pairs, and sides."""
    collection = workspace.collection
    return content_id(
        "data",
        [
            sorted(collection.document_hashes().items()),
            [(each.query_id, each.text, dict(each.metadata)) for each in collection.queries()],
            [_judgment(each) for each in collection.all_judgments()],
            [asdict(each) for each in collection.pairs()],
            sorted((query_id, sorted(splits)) for query_id, splits in collection.split_of().items()),
        ],
    )


def _judgment(each: object) -> tuple[object, ...]:
    return tuple(getattr(each, name) for name in ("query_id", "doc_id", "source", "rater", "grade", "weight"))
