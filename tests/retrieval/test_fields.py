import math

import pytest

from nearer.core.errors import InputError
from nearer.retrieval.fields import FieldTypes, columns, entry_hash, kept_values


def types_of(*values):
    types = FieldTypes(["x"])
    for number, value in enumerate(values):
        types.see(f"d{number}", {"x": value} if value != "absent" else {"y": 1})
    return types.found()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["a", None, "absent"], "text"),
        ([1, -(2**63), 2**63 - 1], "integer"),
        ([1, 2.5, None], "number"),
        ([True, False], "boolean"),
        (["5", "9.90", "-1e-05"], "number"),
        (["5", "10"], "integer"),
        (["5", 10, 2.5], "number"),
        (["007", "12"], "text"),
        (["1e5", "2"], "text"),
        (["5", "10 EUR"], "text"),
        (["true", "False"], "boolean"),
        (["2024-05-31", "2024-05-31T10:00:00Z"], "date"),
        (["2024-05-31", "31.05.2024"], "text"),
        ([["a", "b"], "a", []], "list"),
        ([[1, 2.5], [True]], "list"),
    ],
)
def test_types_are_read_from_the_documents(values, wanted):
    assert types_of(*values) == {"x": wanted}


def test_a_field_that_no_document_has_has_no_type():
    assert types_of(None, "absent") == {}


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        (["a", "b", 3], "document 'd0' has text, document 'd2' has integer"),
        ([True, 1], "document 'd0' has boolean, document 'd1' has integer"),
        ([1, ["a", {}]], "document 'd1' cannot filter: it holds \\['a', {}\\]"),
        ([{"a": 1}], "document 'd0'"),
        ([2**63], "document 'd0'"),
        ([math.nan], "document 'd0'"),
    ],
)
def test_values_that_cannot_filter_are_reported_with_field_and_documents(values, reported):
    with pytest.raises(InputError, match=reported) as caught:
        types_of(*values)
    assert "'x'" in caught.value.message
    assert "index.filter_fields" in caught.value.hint


def test_values_are_kept_as_their_fields_type():
    fields = {"a": "number", "b": "integer", "c": "text", "d": "boolean"}
    kept = kept_values({"a": 2, "b": 3, "d": False, "e": "other"}, fields)
    assert kept == (2.0, 3, None, False)
    assert [type(each) for each in kept] == [float, int, type(None), bool]
    assert math.copysign(1, kept_values({"a": -0.0}, fields)[0]) == 1
    assert columns([], fields) == {"a": (), "b": (), "c": (), "d": ()}
    assert columns([(), ()], {}) == {}


def test_a_hash_covers_the_text_and_what_may_filter_only():
    fields = {"year": "integer"}
    plain = entry_hash("text", {"year": 2020, "note": "x"}, {})
    assert plain == "text"
    one = entry_hash("text", {"year": 2020, "note": "x"}, fields)
    assert one == entry_hash("text", {"year": 2020, "note": "y"}, fields)
    others = [("text", {"year": 2021}), ("other", {"year": 2020}), ("text", {})]
    assert one not in [entry_hash(text, metadata, fields) for text, metadata in others]
