import pytest

from nearer.core.errors import InputError
from nearer.core.records import Document
from nearer.retrieval.metadata_schema import MetadataSchema


def read(metadata, *, queries=(), known=(), texts=()):
    documents = [Document(doc_id=f"d{row}", text="x", metadata=each) for row, each in enumerate(metadata)]
    return MetadataSchema.read(documents, queries, query_time_fields=known, texts=texts)


def written(schema):
    return [str(rule) for rule in schema.rules]


def test_rules_compare_query_time_fields_and_try_values_of_few():
    documents = [
        {"year": 2020 + n, "lang": ("en", "de")[n % 2], "day": f"2024-05-{n + 1:02}", "free": n > 3, "id": f"x{n}"}
        for n in range(25)
    ]
    found = read(documents, known=["year", "lang", "day", "free", "asker"])
    assert written(found) == [
        *("year=query.year", "year<=query.year", "year>=query.year", "lang=query.lang"),
        *("day=query.day", "day<=query.day", "day>=query.day", "free=query.free"),
        *("lang=de", "lang=en", "free=false", "free=true"),  # year, day and id have more than 20 values
    ]
    assert (found.documents, found.excluded) == (tuple(documents), {})


def test_a_value_is_a_rule_only_where_some_document_does_not_pass():
    assert written(read([{"status": "current"}] * 3)) == []
    assert written(read([{"status": "current"}, {}])) == ["status=current"]


def test_fields_from_the_right_answer_and_values_that_cannot_be_written_are_not_used():
    found = read([{"label_topic": "a", "lang": " en"}, {"label_topic": "b", "lang": "query.x"}, {"lang": "de"}])
    assert (written(found), list(found.fields)) == (["lang=de"], ["lang"])
    assert found.documents[0] == {"lang": " en"}
    with pytest.raises(InputError, match="'label_topic' was derived from the right answer"):
        read([{"label_topic": "a"}], known=["label_topic"])


@pytest.mark.parametrize(
    ("values", "reason"),
    [([1, "x"], "document 'd0' has integer, document 'd1' has text"), ([["a"], [{}]], "it holds [{}]")],
)
def test_a_field_without_one_plain_type_is_left_out_and_reported(values, reason):
    found = read([{"odd": value, "lang": "en"} for value in values], known=["odd"])
    assert (list(found.fields), written(found)) == (["lang"], [])
    assert reason in found.excluded["odd"]
    assert found.documents == ({"lang": "en"},) * 2


def test_a_query_whose_value_documents_never_hold_leaves_the_rules_out_and_the_field_in():
    found = read([{"year": 2020}, {"year": 2021}], queries=[{"year": 2020}, {}, {"year": "soon"}], known=["year"])
    assert written(found) == ["year=2020", "year=2021"]
    assert "a query whose 'year' is 'soon'" in found.excluded["year"]
    found = read([{"year": 2020}, {"year": 2021}], queries=[{"year": "2020"}], known=["year"])  # as from CSV
    assert written(found)[0] == "year=query.year"


def test_what_the_recipe_says_is_text_is_text_whatever_it_looks_like():
    metadata = [{"version": "1.1"}, {"version": "1.10"}]
    assert (dict(read(metadata).fields), written(read(metadata))) == ({"version": "number"}, ["version=1.1"])
    found = read(metadata, known=["version"], texts={"version"})
    assert dict(found.fields) == {"version": "text"}
    assert written(found) == ["version=query.version", "version=1.1", "version=1.10"]


def test_a_name_that_no_rule_can_hold_is_left_out():
    found = read([{"a<b": 1}, {"a<b": 2}], queries=[{"a<b": 1}], known=["a<b"])
    assert (written(found), list(found.excluded)) == ([], ["a<b"])
