"""``/v1/events``: what users did, in the shape of User Behavior Insights 1.3; what was acknowledged is durable."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import Discriminator, Tag

from nearer.core.errors import InputError
from nearer.core.ids import canonical_json, content_id
from nearer.store.events.records import Event
from nearer.store.events.salt import Salt
from nearer.web.schemas import EventAttributes, EventIn, EventsTaken, respond
from nearer.web.service import Service

_PEOPLE = frozenset({"user_id", "client_id", "session_id"})
_ID_CHARACTERS = 512
_DETAILS_CHARACTERS = 10_000


def _number(body: Any) -> str:
    return "many" if isinstance(body, list) else "one"


Events = Annotated[
    Annotated[EventIn, Tag("one")] | Annotated[list[EventIn], Tag("many")], Discriminator(_number), Body()
]


def event_routes(service: Service) -> APIRouter:
    """The routes of events."""
    routes = APIRouter(tags=["events"])

    @routes.post("/v1/events", response_model=EventsTaken, summary="Take in events")
    async def take(events: Events) -> Response:
        """Write one event or several: they are on the disk once this is answered, and one sent again counts once."""
        return respond(await take_events(service, events if isinstance(events, list) else [events]))

    return routes


async def take_events(service: Service, given: Sequence[EventIn]) -> EventsTaken:
    """Write events to the log; how many were taken, and kept apart, once they are on the disk. Raises NearerError."""
    service.refuse_many(len(given), what="events", limit=service.limits.events)
    now = datetime.now(UTC)
    made = [_event(each, service.salt, now) for each in given]
    if made:
        await service.do(lambda deadline: service.events.commit(made, deadline=deadline))
    apart = Counter(each.apart for each in made if each.apart)
    service.metrics.events(num_counted=len(made) - apart.total(), num_apart=apart.total())
    return EventsTaken(num_events=len(made), num_apart=apart.total(), apart=dict(apart))


def _event(given: EventIn, salt: Salt, now: datetime) -> Event:
    """The event as it is kept. Raises InputError."""
    attributes, query_id, doc_id = given.event_attributes, given.query_id or "", _doc_id(given)
    user, session = salt.hashed(given.user_id or given.client_id), salt.hashed(given.session_id)
    extra = {name: value for name in ("application", "message_type", "message") if (value := getattr(given, name))}
    try:
        details = canonical_json(_hidden({**_rest(attributes), **extra}, salt))
    except RecursionError:
        raise InputError("event_attributes is nested too deeply", hint="send it flat") from None
    if len(details) > _DETAILS_CHARACTERS:
        raise InputError(f"event_attributes has {len(details)} characters", hint=f"at most {_DETAILS_CHARACTERS}")
    at = _time(given.timestamp)
    position = attributes.position.ordinal if attributes.position else None
    content = [query_id, given.action_name, doc_id, position, user, session, given.timestamp, attributes.dwell_s]
    return Event(
        event_id=given.event_id or content_id("event", [*content, attributes.value, details], num_hex=32),
        query_id=query_id,
        at=at or now,
        received_at=now,
        action=given.action_name,
        doc_id=doc_id,
        ordinal=position,
        user=user,
        session=session,
        dwell_s=attributes.dwell_s,
        value=attributes.value,
        details="" if details == "{}" else details,
        apart="no query" if not query_id else "" if salt.gave(query_id) else "unknown query",
    )


def _doc_id(given: EventIn) -> str:
    """The document, wherever it is named. Raises InputError for two, and for an id that no document has."""
    inner = given.event_attributes.object.object_id if given.event_attributes.object else None
    named = {str(each) for each in (given.object_id, inner) if each is not None}
    if len(named) > 1:
        raise InputError(f"one event, two documents: {', '.join(sorted(named))[:200]}", hint="name one object_id")
    doc_id = next(iter(named), "")
    if len(doc_id) > _ID_CHARACTERS:
        raise InputError(f"object_id has {len(doc_id)} characters, more than {_ID_CHARACTERS}", hint="send the id")
    return doc_id


def _time(text: str | None) -> datetime | None:
    """Raises InputError for what is no time."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"the timestamp {text!r} is none", hint='for example: "2026-11-30T12:00:00Z"') from error


def _rest(attributes: EventAttributes) -> dict[str, object]:
    """What was sent beside the fields that are kept as such."""
    rest: dict[str, object] = dict(attributes.model_extra or {})
    for name in ("object", "position"):
        if (part := getattr(attributes, name)) is not None and part.model_extra:
            rest[name] = dict(part.model_extra)
    return rest


def _hidden(value: Any, salt: Salt) -> Any:
    """The same with the ids of people hashed."""
    if isinstance(value, dict):
        return {
            key: salt.hashed(str(each)) if key in _PEOPLE and each is not None else _hidden(each, salt)
            for key, each in value.items()
        }
    return (
        [_hidden(each, salt) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
    )
