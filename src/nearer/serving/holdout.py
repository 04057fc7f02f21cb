"""What all turns together did: users whom the first release goes on answering, beside all others."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearer.core.results.online import HoldoutEffect
from nearer.online.analysis import ARMS, CONTROL, TREATMENT, effect_of
from nearer.online.metrics import METRICS
from nearer.online.outcomes import read_outcomes
from nearer.online.plan import Plan
from nearer.signals.log import read_log
from nearer.store.events.columns import equal, seconds
from nearer.store.events.reading import EventReader
from nearer.store.workspace import Workspace

HOLDOUT = "holdout"
METRIC = "click_through"
_PLAN = Plan(
    name=HOLDOUT,
    hypothesis="what went live since the first release serves users better",
    kind="canary",
    treatment="live",
    sequential=True,
    before_days=0,
)


def holdout_effect(workspace: Workspace, *, log: EventReader | None = None) -> HoldoutEffect | None:
    """The effect since the first search of a user held out; None where none searched.

    Users who were seen on both sides, as while a service started, are left out.
    """
    sifted = read_log(log or workspace.events)
    is_out_I, at_I = equal(sifted.impressions["arm"], HOLDOUT), seconds(sifted.impressions["at"])
    if not is_out_I.any():
        return None
    releases = sifted.impressions["release_id"].filter(pa.array(is_out_I))
    since = datetime.fromtimestamp(float(np.nanmin(at_I[is_out_I])), UTC)
    until = datetime.fromtimestamp(float(np.nanmax(at_I)), UTC) + timedelta(milliseconds=1)
    place = sifted.impressions.schema.get_field_index("arm")
    arms = pc.if_else(pa.array(is_out_I), CONTROL, TREATMENT)
    outcomes = read_outcomes(
        sifted.impressions.set_column(place, "arm", arms),
        sifted.events,
        sifted.impression_E,
        arms=ARMS,
        unit="user",
        since=since,
        until=until,
    )
    return HoldoutEffect(
        release_id=str(releases[-1].as_py()),
        since=since.isoformat(timespec="seconds"),
        num_units={arm: len(np.unique(outcomes.unit_I[outcomes.arm_I == row])) for row, arm in enumerate(ARMS)},
        effect=effect_of(METRICS[METRIC], outcomes, _PLAN),
    )
