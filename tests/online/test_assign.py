"""Who sees what: the same arm for ever, in the shares that were asked for, in JavaScript as in Python."""

import json
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from nearer.core.errors import InputError
from nearer.online.assign import HOLDOUT_SALT, Allocation, bucket_of, sample_ratio

VECTORS = json.loads((Path(__file__).parent / "assignment_vectors.json").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "assign-users.md"
ALLOCATIONS = [
    Allocation(salt="s", weights={"a": 1, "b": 2}, ramp=0.5),
    Allocation(salt="t", weights={"control": 0.3, "x": 0.3, "y": 0.4}),
]
USERS = [f"user-{n}" for n in range(20_000)]


def counts(allocation, users=USERS):
    found = [allocation.arm_of(user) for user in users]
    return {arm: found.count(arm) for arm in [*allocation.weights, None]}


def test_buckets_are_those_of_the_file():
    assert len(VECTORS) >= 20
    for each in VECTORS:
        assert bucket_of(each["unit"], salt=each["salt"]) == each["bucket"]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_javascript_of_the_page_agrees():
    [script] = re.findall(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(script.strip().splitlines()) <= 20
    run = f"""{script}
const vectors = {json.dumps(VECTORS)};
const allocations = {json.dumps([asdict(each) for each in ALLOCATIONS])};
const arms = vectors.flatMap(v => allocations.map(each => armOf(v.unit, each)));
const buckets = vectors.map(v => bucketOf(v.unit, v.salt));
console.log(JSON.stringify([await Promise.all(buckets), await Promise.all(arms)]));"""
    said = subprocess.run(["node", "--input-type=module", "-e", run], capture_output=True, text=True, check=True)
    buckets, arms = json.loads(said.stdout)
    assert buckets == [each["bucket"] for each in VECTORS]
    assert arms == [allocation.arm_of(each["unit"]) for each in VECTORS for allocation in ALLOCATIONS]


def test_shares_are_those_asked_for():
    found = counts(Allocation(salt="s", weights={"control": 3, "treatment": 1}))
    assert found["control"] / 20_000 == pytest.approx(0.75, abs=0.01)
    assert found[None] == 0


def test_a_ramp_only_adds_units():
    arms = {"control": 1, "a": 1, "b": 2}
    before = {}
    for ramp in (0.0, 0.01, 0.1, 0.5, 0.99, 1.0):
        allocation = Allocation(salt="s", weights=arms, ramp=ramp)
        now = {user: arm for user in USERS[:4000] if (arm := allocation.arm_of(user))}
        assert before.items() <= now.items()
        assert len(now) / 4000 == pytest.approx(ramp, abs=0.03)
        before = now


def test_the_holdout_is_the_same_for_every_experiment():
    held = [user for user in USERS if bucket_of(user, salt=HOLDOUT_SALT) < 500]
    for salt in ("one", "two"):
        allocation = Allocation(salt=salt, weights={"a": 1, "b": 1}, holdout=0.05)
        assert {user for user in USERS if allocation.arm_of(user) is None} == set(held)


def test_experiments_are_independent():
    one, two = (Allocation(salt=salt, weights={"a": 1, "b": 1}) for salt in ("one", "two"))
    both = sum(one.arm_of(user) == "a" == two.arm_of(user) for user in USERS)
    assert both / 20_000 == pytest.approx(0.25, abs=0.01)


def test_a_wrong_split_is_found_at_ten_thousand_users():
    assert sample_ratio({"a": 5200, "b": 4800}, {"a": 1, "b": 1}).is_alarm
    assert not sample_ratio({"a": 5050, "b": 4950}, {"a": 1, "b": 1}).is_alarm
    assert not sample_ratio({"a": 7510, "b": 2490}, {"a": 3, "b": 1}).is_alarm
    assert sample_ratio({"a": 10}, {"a": 1}).p_value == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": {}},
        {"weights": {"a": 0}},
        {"weights": {"a": -1, "b": 2}},
        {"weights": {"": 1}},
        {"weights": {"a": 1}, "ramp": 1.1},
        {"weights": {"a": 1}, "holdout": 1.0},
    ],
)
def test_what_shares_out_nothing_is_refused(settings):
    with pytest.raises(InputError):
        Allocation(salt="s", **settings)


def test_units_and_salts_that_say_nothing_are_refused():
    for unit, salt in (("", "s"), ("u", "a\nb")):
        with pytest.raises(InputError):
            bucket_of(unit, salt=salt)
    for units, weights in (({}, {}), ({"a": 0, "b": 0}, {"a": 1, "b": 1}), ({"a": 1}, {"a": 1, "b": 1})):
        with pytest.raises(InputError):
            sample_ratio(units, weights)
