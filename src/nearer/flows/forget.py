"""Remove a person from the event log, and say which judgments change."""

from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc

from nearer.core.errors import InputError
from nearer.core.records import Judgment
from nearer.core.results.signals import ChangedJudgment, ForgottenUser
from nearer.flows.judge_clicks import judge_clicks
from nearer.store.changing import remove_judgments
from nearer.store.events.forgetting import Forgotten, forget
from nearer.store.events.reading import Logged, read_events
from nearer.store.events.salt import Salt
from nearer.store.events.segments import open_files
from nearer.store.events.sharing import share_events, shared_place
from nearer.store.workspace import Workspace

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def forget_user(workspace: Workspace, user: str) -> ForgottenUser:
    """Remove what a user saw and did, and judge clicks anew where they were judged; what changed.

    ``user`` is what clients send as user, ``user_id`` or ``client_id``. Raises InputError for a blank one, and
    WorkspaceBusy while another process changes the log; ServiceError where the place of shared events is not reached:
    ask again then.
    """
    if not user.strip():
        raise InputError("no user is named", hint="nearer forget USER")
    place = shared_place(workspace)
    with workspace.lease("events", verb="forget"):
        if place:
            share_events(workspace.events, place)
        person = Salt.open(workspace.events).hashed(user)
        before = read_events(workspace.events)
        theirs = Forgotten(
            person=person,
            before=(datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1),
            query_ids=_answers_of(before, person),
        )
        is_written = place is not None or bool(open_files(workspace.events))  # other machines may be writing
        forget(workspace.events, theirs, is_written=is_written)
        if place:
            share_events(workspace.events, place)
        after = read_events(workspace.events)
    changed = _judge_anew(workspace)
    return ForgottenUser(
        num_impressions=before.impressions.num_rows - after.impressions.num_rows,
        num_events=before.events.num_rows - after.events.num_rows,
        num_changed=len(changed),
        changed=changed,
    )


def _answers_of(logged: Logged, person: str) -> tuple[str, ...]:
    """The answers that a person got: those that name them, or name nobody and were acted on by them."""
    impressions, events = logged.impressions, logged.events
    named = impressions.filter(pc.equal(impressions["user"], person))["query_id"]
    acted = events.filter(pc.equal(events["user"], person))["query_id"]
    is_acted = pc.is_in(impressions["query_id"], value_set=acted.combine_chunks())
    nobody_s = impressions.filter(pc.and_(is_acted, pc.equal(impressions["user"], "")))["query_id"]
    return tuple(sorted({*named.to_pylist(), *nobody_s.to_pylist()} - {"", None}))


def _judge_anew(workspace: Workspace) -> tuple[ChangedJudgment, ...]:
    """Judge clicks by the same model as before, where they were judged; which judgments changed."""
    before = _clicked(workspace)
    if not before:
        return ()
    method = next(iter(before.values())).rater
    try:
        done = judge_clicks(workspace, model=method).verdict
    except InputError:  # no click is left
        done = "not identified"
    if done != "judged":
        with workspace.write("forget") as connection:
            remove_judgments(connection, source="clicks")
    after = _clicked(workspace)
    return tuple(
        ChangedJudgment(query_id=key[0], doc_id=key[1], before=_grade(before.get(key)), after=_grade(after.get(key)))
        for key in sorted({*before, *after})
        if _grade(before.get(key)) != _grade(after.get(key))
    )


def _clicked(workspace: Workspace) -> dict[tuple[str, str], Judgment]:
    said = workspace.collection.all_judgments()
    return {(each.query_id, each.doc_id): each for each in said if each.source == "clicks"}


def _grade(judgment: Judgment | None) -> int | None:
    return None if judgment is None else judgment.grade
