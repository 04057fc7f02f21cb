import json
import sys

import pytest

from nearer.core.errors import InputError
from nearer.core.results.measuring import ApiUse, Evaluation, Interval, Ledger, SystemValues
from nearer.core.results.releases import Rollback
from nearer.evaluation.exclusions import nothing_excluded


def evaluation():
    values = SystemValues(
        system="<base>",
        model_id="model-1",
        encoder_id="encoder-1",
        space_id="encoder-1",
        run=None,
        metrics={"nDCG@10": Interval(value=0.5, low=0.4, high=0.6)},
        num_queries_needed=None,
        num_queries_more=None,
        slices={},
        num_truncated=0,
        num_passages=3,
    )
    return Evaluation(
        split="dev",
        num_queries=9,
        num_with_relevant=9,
        num_without_gain=0,
        num_unjudged=0,
        relevant_from=1,
        num_groups=None,
        settings={"seed": 0},
        results=(values,),
        comparisons=(),
        excluded=nothing_excluded().counts,
        notes=(),
        examples=(),
        ledger=Ledger(split="dev", num_test_uses=None),
    )


def test_a_result_is_read_as_attributes_by_key_and_as_json():
    found = evaluation()
    assert found["results"][0]["metrics"]["nDCG@10"]["value"] == found.results[0].metrics["nDCG@10"].value == 0.5
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain == found.to_dict()
    assert plain["results"][0]["metrics"]["nDCG@10"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert Evaluation.read(plain) == found


def test_a_key_that_is_omitted_is_no_key():
    moved = Rollback(release_id="release-1", model_id="model-1", previous="release-2")
    assert "api" not in moved
    assert moved.get("api", "none") == "none"
    assert {**moved} == moved.to_dict() == {"release_id": "release-1", "model_id": "model-1", "previous": "release-2"}
    with pytest.raises(KeyError):
        moved["api"]
    used = ApiUse(num_requests=1, num_tokens=2, cost_usd=None, is_recorded=True)
    asked = Rollback(release_id="release-1", model_id="model-1", previous="release-2", api=used)
    assert asked["api"] is used
    assert asked.to_dict()["api"]["cost_usd"] is None
    assert Rollback.read(asked.to_dict()) == asked


def test_what_is_no_such_record_is_refused():
    with pytest.raises(ValueError, match="previous"):
        Rollback.read({"release_id": "release-1", "model_id": "model-1"})


def test_a_notebook_shows_rows_with_escaped_texts():
    html = evaluation()._repr_html_()
    assert "&lt;base&gt;" in html
    assert "<th>metrics.nDCG@10.value</th>" in html
    assert html.count("<tr>") == 2


def test_rows_become_a_table(monkeypatch):
    pandas = pytest.importorskip("pandas")
    table = evaluation().to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table["metrics.nDCG@10.value"].tolist() == [0.5]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError) as caught:
        evaluation().to_pandas()
    assert caught.value.hint == "pip install pandas"
