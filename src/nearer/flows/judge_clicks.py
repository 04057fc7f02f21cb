"""Make judgments of what users did, or say that nobody can."""

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.near_duplicates import resembling
from nearer.core.records import Query
from nearer.core.results.signals import ClickJudgments
from nearer.evaluation.calibration import agreements
from nearer.evaluation.grades import scale_of
from nearer.evaluation.splits import ensure_splits
from nearer.flows.fit_clicks import HINT, named_model
from nearer.flows.retention import enforce_retention
from nearer.signals.choose import choose_model, fit_model, intervals, propensities
from nearer.signals.click_judgments import JudgedByClicks, judged_by_clicks, summarise_clicks
from nearer.signals.judge import attraction
from nearer.signals.log import read_log
from nearer.signals.propensities import find_links
from nearer.signals.shown import shown_lists
from nearer.store.changing import put_judgments, put_queries, put_split, remove_judgments, stamp_judgments
from nearer.store.collection import LEAKED, TRAIN, batches
from nearer.store.events.sharing import event_folder
from nearer.store.workspace import Workspace


def judge_clicks(
    workspace: Workspace, *, model: str = "auto", min_impressions: int = 10, min_users: int = 3, seed: int = 0
) -> ClickJudgments:
    """Judge the pairs that enough people were shown, by what they did; judgments of earlier events are replaced.

    The click model follows from how the log was made, as in ``fit_clicks``; a log that cannot tell position from
    document is "not identified", and then nothing is changed. Queries that nobody knew before become training queries,
    unless they nearly repeat one of dev or test. Raises InputError for an unknown model and a minimum below 1.
    """
    asked = named_model(model)
    if min(min_impressions, min_users) < 1:
        raise InputError("a minimum below 1", hint="--min-impressions 10 --min-users 3")
    enforce_retention(workspace)
    log = read_log(event_folder(workspace), doc_ids=workspace.collection.document_hashes())
    sifted = log.sifted
    shown = shown_lists(log.impressions, log.logged.events, sifted, gains=workspace.recipe.events.gains)
    if not shown.log.num_lists or not shown.log.clicked_LR.any():
        raise InputError("no clicks are recorded", hint="nearer add events FILE; or serve, and send events to it")
    cells = shown.log.cells()
    links = find_links(shown.log)
    chosen = choose_model(asked, shown.log, links)
    if chosen.model is None:
        return summarise_clicks(
            shown, sifted.counts(), verdict="not identified", model=model, why=chosen.why, hint=HINT
        )
    fitted = fit_model(chosen.model, shown.log, cells)
    found = attraction(shown, chosen.model, fitted)
    enough_P = (found.num_impressions_P >= min_impressions) & (found.num_people_P >= min_users)
    judged = judged_by_clicks(
        shown,
        found,
        enough_P,
        queries=workspace.collection.queries(),
        doc_ids=workspace.collection.document_hashes(),
        max_grade=scale_of(workspace).max_grade,
        method=chosen.model,
    )
    _store(workspace, judged)
    return summarise_clicks(
        shown,
        sifted.counts(),
        verdict="judged",
        model=chosen.model,
        why=chosen.why,
        judged=judged,
        num_too_few=int((~enough_P).sum()),
        effective_size=found.effective_size,
        propensities=propensities(chosen.model, fitted, links),
        intervals=intervals(chosen.model, shown.log, fitted, links, seed=seed),
        agreement=agreements(workspace.collection.all_judgments()),
    )


def _store(workspace: Workspace, judged: JudgedByClicks) -> None:
    """Put these judgments in place of the earlier ones, in one step, and give new queries their side."""
    ensure_splits(workspace)
    near = _near_held_out(workspace, judged.new)
    with workspace.write("clicks judge") as connection:
        remove_judgments(connection, source="clicks")
        for queries in batches(judged.new):
            put_queries(connection, queries)
        for query, is_near in zip(judged.new, near, strict=True):
            put_split(connection, LEAKED if is_near else TRAIN, [query.query_id])
        for judgments in batches(judged.judgments):
            put_judgments(connection, judgments)
        stamp_judgments(connection)
    failpoint("clicks.judged")


def _near_held_out(workspace: Workspace, new: list[Query]) -> list[bool]:
    """Which queries nearly repeat one of dev or test; all, where time parts the sides, for the log is of today."""
    if workspace.recipe.split.by == "time":
        return [True] * len(new)
    held_out = workspace.collection.texts_outside((TRAIN, LEAKED))
    if not new or not held_out:
        return [False] * len(new)
    return [bool(each) for each in resembling([query.text for query in new], held_out)]
