"""Fit a click model to a log of any search engine; no workspace is needed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nearer.core.errors import InputError
from nearer.core.results.signals import ClickFit
from nearer.signals.choose import MODELS, ModelName, choose_model, fit_model, intervals, propensities
from nearer.signals.click_log import ClickLog
from nearer.signals.click_models import Likelihood, likelihood
from nearer.signals.propensities import find_links, shuffled_lists
from nearer.signals.read_log import read_log

HINT = (
    "show some results in another order: swap neighbours for a share of queries, serve a second ranking beside the "
    "first, or run an A/B test; until then take --model ctr or coec, which debias nothing"
)


def fit_clicks(
    file: Path | str,
    *,
    test: Path | str | None = None,
    model: str = "auto",
    first_rank: int | None = None,
    seed: int = 0,
) -> ClickFit:
    """Fit a click model to a log, and measure it on ``test``, another log, or without one on the log itself.

    "auto" takes the model that the log identifies. Raises InputError for a file that is no click log (see ``read_log``)
    and for an unknown model. A log of one fixed ranking is "not identified", which is an answer, no error.
    """
    asked = named_model(model)
    if first_rank not in (None, 0, 1):
        raise InputError(f"positions cannot start at {first_rank}", hint="--first-rank 0 or --first-rank 1")
    log = read_log(Path(file), first_rank=first_rank)
    held_out = read_log(Path(test), first_rank=first_rank) if test is not None else None
    cells = log.cells()
    links = find_links(log)
    chosen = choose_model(asked, log, links)
    if chosen.model is None:
        nothing = Fit(likelihood=None, propensities=(), intervals=())
        return _record(log, held_out, nothing, verdict="not identified", model=model, why=chosen.why, hint=HINT)
    fitted = fit_model(chosen.model, log, cells)
    measured = held_out or log
    pair_LR = measured.numbered_as(log) if held_out else log.pair_LR
    found = Fit(
        likelihood=likelihood(fitted, pair_LR, measured.clicked_LR),
        propensities=propensities(chosen.model, fitted, links),
        intervals=intervals(chosen.model, log, fitted, links, seed=seed),
    )
    return _record(log, held_out, found, verdict="fitted", model=chosen.model, why=chosen.why, hint=None)


def named_model(model: str) -> ModelName:
    """The click model of that name. Raises InputError."""
    for each in MODELS:
        if each == model:
            return each
    raise InputError(f"no click model is called {model!r}", hint=f"one of {', '.join(MODELS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was found, where anything was."""

    likelihood: Likelihood | None
    propensities: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]


def _record(
    log: ClickLog,
    held_out: ClickLog | None,
    fit: Fit,
    *,
    verdict: Literal["fitted", "not identified"],
    model: str,
    why: str,
    hint: str | None,
) -> ClickFit:
    found = fit.likelihood
    return ClickFit(
        verdict=verdict,
        model=model,
        why=why,
        hint=hint,
        log_likelihood=found.log_likelihood if found else None,
        perplexity=found.perplexity if found else None,
        perplexity_at=found.perplexity_at if found else (),
        propensities=fit.propensities,
        intervals=fit.intervals,
        num_sessions=log.num_sessions,
        num_lists=log.num_lists,
        num_pairs=len(log.pairs),
        num_impressions=int(log.shown_LR.sum()),
        num_clicks=int(log.clicked_LR.sum()),
        num_repeated=log.num_repeated,
        num_test_lists=held_out.num_lists if held_out else 0,
        measured_on="nothing" if found is None else "test" if held_out else "the log itself",
        notes=_notes(log, fit),
    )


def _notes(log: ClickLog, fit: Fit) -> tuple[str, ...]:
    """What a reader of the numbers must know."""
    found = []
    if log.num_repeated:
        found.append(f"{log.num_repeated} rows repeat a document of their list: they count as one impression")
    if log.num_elsewhere:
        found.append(f"{log.num_elsewhere} clicks are on what their query did not show: they are left out")
    if log.propensity_LR is not None and fit.propensities and shuffled_lists(log) is None:
        found.append("the column propensity is not used: how far a rank is looked at comes from documents at two ranks")
    if unknown := sum(each is None for each in fit.propensities):
        found.append(f"{unknown} ranks share no documents with the first one: how far they are looked at is not known")
    if log.users is None and fit.intervals:
        found.append("no column user: intervals draw lists, and are too narrow where users come back")
    if fit.intervals and log.users is not None and (nobody := sum(not each for each in log.users)):
        found.append(f"{nobody} lists name no user: each counts as a user of its own")
    return tuple(found)
