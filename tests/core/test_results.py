import dataclasses
import inspect
import json
import pkgutil
import sys
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import typer

import nearer as package
from nearer.cli import whole_app
from nearer.core import results
from nearer.core.errors import InputError
from nearer.core.results.base import Result
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
        by_query={"nDCG@10": {"q1": 0.5}},
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


def records():
    """Every record of core/results."""
    modules = [import_module(f"nearer.core.results.{each.name}") for each in pkgutil.iter_modules(results.__path__)]
    found = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Result) and kind is not Result
    }
    return sorted(found, key=lambda kind: kind.__name__)


def sample(kind):
    """Some value of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return {"a": [1, "b", None]}
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: sample(hints[each.name]) for each in dataclasses.fields(kind)})
    if origin in (Union, UnionType):
        return sample(arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        kinds = arguments[:1] * 2 if arguments[-1] is ... else arguments
        return tuple(map(sample, kinds))
    if origin is not None:
        return {sample(arguments[0]): sample(arguments[1])}
    return {object: "<b>any</b>", str: "<b>text</b>", int: 3, float: 0.5, bool: True}[kind]


@pytest.mark.parametrize("kind", records(), ids=lambda kind: kind.__name__)
def test_every_record_is_json_and_comes_back_and_is_a_table_in_a_notebook(kind):
    made = sample(kind)
    plain = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert kind.read(plain) == made
    assert dict(made).keys() == plain.keys()
    html = made._repr_html_()
    assert html.startswith("<table><thead><tr><th>")
    assert "<b>" not in html
    several = [value for value in dict(made).values() if isinstance(value, tuple) and isinstance(value[0], Result)]
    assert html.count("<tr>") == 1 + (len(several[0]) if several else 1)


def functions():
    """The functions of the package, by name."""
    return {name: value for name in package.__all__ if inspect.isfunction(value := getattr(package, name))}


@pytest.mark.parametrize("name", functions())
def test_every_function_returns_a_record_that_the_package_has(name):
    returned = inspect.signature(functions()[name]).return_annotation
    assert issubclass(returned, Result)
    assert getattr(package, returned.__name__) is returned


ELSEWHERE = {
    "train": {"adapter": "adapt", "reranker": "train_reranker", "discard": "discard_run"},
    "evaluate": {"task": "evaluate_task", "label": "evaluate_task"},
    "compress": {
        "dimension": "compress",
        "split": "compression_curve",
        "rotated": "rotate",
        "int8": "compress_int8",
        **dict.fromkeys(("layers", "start", "budget"), "distil"),
    },
    "index": {"verify": "index_status"},
    "export": {"store": "export_vectors", "push": "export_model", "public": "export_model"},
    "advise": {"next_source": "next_source"},
}
"""Options for which the package has a function of its own."""
KEYWORDS = {"drop_leaks": "drop", "reason": "force_reason", "force": "force_reason", "no_test": "confirm_on_test"}
KEYWORDS |= {"documents": "documents", "precision": "precisions", "price": "prices"}


def options():
    """Every verb and each of its options, but for what all have; `serve` and `label` run until they are stopped."""
    group = typer.main.get_command(whole_app())
    shared = {"folder", "as_json", "overrides", "help", "full", "loop"}
    return [
        (verb, each.name)
        for verb, command in sorted(group.commands.items())
        for each in command.params
        if each.param_type_name == "option" and each.name not in shared and verb not in ("serve", "mcp", "key", "label")
    ]


@pytest.mark.parametrize(("verb", "option"), options())
def test_every_option_of_a_verb_is_a_keyword_in_python(verb, option):
    if other := ELSEWHERE.get(verb, {}).get(option):
        assert other in functions()
        return
    assert KEYWORDS.get(option, option) in keywords(functions()[verb.replace("-", "_")])


def keywords(function):
    """The keywords of a function, and those of the record of options that it takes, where it takes one."""
    known = dict(inspect.signature(function).parameters)
    if "options" in known:
        [record] = [each for each in get_args(get_type_hints(function)["options"]) if dataclasses.is_dataclass(each)]
        known |= {each.name: each for each in dataclasses.fields(record)}
    return known
