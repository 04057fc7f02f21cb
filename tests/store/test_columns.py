"""Columns as the recipe maps them, in every format."""

import pytest

from nearer.core.errors import RecipeError
from nearer.core.recipe import load_recipe
from nearer.core.records import Document, Judgment, Pair, Query
from nearer.core.sections import ColumnsRecipe
from nearer.store.formats import read_documents, read_judgments, read_pairs, read_queries
from store.tables import FORMATS, found, records, the_fault, write_table

every_format = pytest.mark.parametrize("ending", FORMATS)
FLAT = [ending for ending in FORMATS if "jsonl" not in ending]


def columns(**sections):
    return ColumnsRecipe.model_validate(sections)


SHOP = columns(
    documents={
        "doc_id": "sku",
        "title": "name",
        "text": ["name", "description", "features"],
        "metadata": {"year": "number", "brand": "text", "sold": "boolean"},
        "ignore": ["internal"],
    }
)
ROW = {
    "sku": "s1",
    "name": "Kettle",
    "description": "It boils.",
    "features": None,
    "year": "2024",
    "brand": "Acme",
    "sold": "true",
    "internal": "x",
}


@every_format
def test_documents_are_made_of_the_columns_that_the_recipe_names(tmp_path, ending):
    rows = [ROW, {**ROW, "sku": "s2", "features": "Red.", "year": None, "brand": None, "sold": "False"}]
    assert records(read_documents(write_table(tmp_path, ending, rows), columns=SHOP)) == [
        Document(
            doc_id="s1",
            title="Kettle",
            text="Kettle\nIt boils.",
            metadata={"year": 2024, "brand": "Acme", "sold": True},
        ),
        Document(doc_id="s2", title="Kettle", text="Kettle\nIt boils.\nRed.", metadata={"sold": False}),
    ]


@every_format
def test_a_value_that_is_not_of_its_type_is_a_fault(tmp_path, ending):
    rows = [{**ROW, "year": "about 2024"}, {**ROW, "sold": "perhaps"}, {**ROW, "sku": "s3"}]
    good, faults = found(read_documents(write_table(tmp_path, ending, rows), columns=SHOP))
    assert [document.doc_id for document in good] == ["s3"]
    assert [reason for _, reason in faults] == [
        "\"year\" is 'about 2024', not a number",
        "\"sold\" is 'perhaps', not a boolean",
    ]


@every_format
def test_a_column_that_is_not_there_is_a_fault_of_the_file_and_names_those_that_are(tmp_path, ending):
    row = {name: value for name, value in ROW.items() if name not in ("sku", "year")}
    fault = the_fault(read_documents(write_table(tmp_path, ending, [row, row]), columns=SHOP))
    assert fault.line == 0
    lacking = "'sku'" if "jsonl" in ending else "'sku', 'year'"
    assert fault.reason.startswith(f"no {lacking} (found: 'brand', 'description'")
    assert "[columns.documents]" in fault.remedy


@every_format
def test_a_column_that_is_neither_named_nor_ignored_is_a_fault(tmp_path, ending):
    rows = [{**ROW, "features": "x", "price": "9"}]
    fault = the_fault(read_documents(write_table(tmp_path, ending, rows), columns=SHOP))
    assert fault.reason == "unknown key 'price'"
    assert fault.line == (1 if "jsonl" in ending else 0)


@every_format
def test_a_field_under_its_own_name_beside_the_mapped_one_is_not_dropped(tmp_path, ending):
    rows = [{"sku": "s1", "doc_id": "d1", "text": "x"}]
    read = read_documents(write_table(tmp_path, ending, rows), columns=columns(documents={"doc_id": "sku"}))
    if ending in FLAT:
        assert records(read) == [Document(doc_id="s1", text="x", metadata={"doc_id": "d1"})]
    else:
        fault = the_fault(read)
        assert (fault.line, fault.reason) == (1, "unknown key 'doc_id'")


@every_format
def test_queries_judgments_and_pairs_are_mapped_too(tmp_path, ending):
    recipe = columns(
        queries={"query_id": "number", "text": "question", "metadata": {"year": "number"}},
        judgments={"query_id": "number", "doc_id": "sku", "grade": "stars", "ignore": ["by"]},
        pairs={
            "query": "q",
            "positive": "good",
            "negatives": ["bad", "worse"],
            "negative_scores": ["s", "t"],
            "source": "from",
        },
    )
    rows = [{"number": "1", "question": "who", "year": "1999"}]
    path = write_table(tmp_path, ending, rows)
    assert records(read_queries(path, columns=recipe)) == [Query(query_id="1", text="who", metadata={"year": 1999})]
    path = write_table(tmp_path, ending, [{"number": "1", "sku": "s", "stars": 3, "by": "Ada"}])
    assert records(read_judgments(path, columns=recipe)) == [Judgment(query_id="1", doc_id="s", grade=3)]
    path = write_table(
        tmp_path, ending, [{"q": "a", "good": "b", "bad": "c", "worse": "d", "s": 0.5, "t": 1, "from": "x"}]
    )
    assert records(read_pairs(path, columns=recipe)) == [
        Pair(query="a", positive="b", negatives=("c", "d"), negative_scores=(0.5, 1.0), source="x")
    ]


@every_format
def test_one_column_of_negatives_is_enough(tmp_path, ending):
    path = write_table(tmp_path, ending, [{"query": "a", "positive": "b", "hard": "c"}])
    recipe = columns(pairs={"negatives": "hard"})
    assert records(read_pairs(path, columns=recipe)) == [Pair(query="a", positive="b", negatives=("c",))]
    rows = [{"query": "a", "positive": "b", "hard": "c", "negative_1": "d"}]
    fault = the_fault(read_pairs(write_table(tmp_path, ending, rows), columns=recipe))
    assert fault.reason == "unknown key 'negative_1'"


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_list_of_negatives_under_another_name(tmp_path, ending):
    path = write_table(tmp_path, ending, [{"query": "a", "positive": "b", "hard": ["c", "d"]}])
    pair = Pair(query="a", positive="b", negatives=("c", "d"))
    assert records(read_pairs(path, columns=columns(pairs={"negatives": "hard"}))) == [pair]


def test_metadata_columns_and_a_metadata_object_meet_without_loss(tmp_path):
    recipe = columns(documents={"metadata": {"year": "number"}})
    rows = [{"doc_id": "a", "text": "x", "year": 1, "metadata": {"lang": "en"}}]
    [document] = records(read_documents(write_table(tmp_path, "jsonl", rows), columns=recipe))
    assert document.metadata == {"lang": "en", "year": 1}
    rows[0]["metadata"] = {"year": 2}
    fault = the_fault(read_documents(write_table(tmp_path, "jsonl", rows), columns=recipe))
    assert fault.reason == "'year' is a column and in \"metadata\" too"
    rows[0]["metadata"] = 7
    assert "not an object" in the_fault(read_documents(write_table(tmp_path, "jsonl", rows), columns=recipe)).reason


def test_files_without_a_header_are_not_mapped(tmp_path):
    recipe = columns(judgments={"grade": "stars"}, queries={"text": "question"})
    for name in ("a.tsv", "a.qrels"):
        path = tmp_path / name
        path.write_text("q\td\t1\n" if name == "a.tsv" else "q 0 d 1\n")
        assert records(read_judgments(path, columns=recipe)) == [Judgment(query_id="q", doc_id="d", grade=1)]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('doc_id = ""', "columns.documents.doc_id"),
        ("text = []", "columns.documents.text"),
        ('metadata = { year = "money" }', "columns.documents.metadata.year"),
        ('sku = "doc_id"', "columns.documents.sku: unknown key"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_with_its_key(tmp_path, content, part):
    (tmp_path / "nearer.toml").write_text(f"[columns.documents]\n{content}\n")
    with pytest.raises(RecipeError, match=part):
        load_recipe(tmp_path / "nearer.toml")


def test_the_mapping_of_the_documentation_can_be_loaded(tmp_path):
    (tmp_path / "nearer.toml").write_text(
        '[columns.documents]\ndoc_id = "sku"\ntext = ["name", "description"]\n'
        'metadata = { year = "number", brand = "text" }\nignore = ["internal"]\n'
    )
    recipe = load_recipe(tmp_path / "nearer.toml", overrides=("columns.documents.title=name",))
    assert recipe.columns.documents.title == "name"
    assert recipe.columns.documents.text == ("name", "description")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("read", "row", "remedy"),
    [
        (read_documents, {"id": "1", "text": "rain"}, "documents.doc_id=id"),
        (read_documents, {"docno": "1", "text": "rain"}, "documents.doc_id=docno"),
        (read_documents, {"DocID": "1", "text": "rain"}, "documents.doc_id=DocID"),
        (read_documents, {"doc_id": "1", "Answer": "rain"}, "documents.text=Answer"),
        (read_queries, {"QID": "1", "text": "rain"}, "queries.query_id=QID"),
        (read_queries, {"query_id": "1", "question": "rain"}, "queries.text=question"),
        (read_judgments, {"query_id": "1", "pid": "1", "grade": 1}, "judgments.doc_id=pid"),
        (read_judgments, {"query_id": "1", "doc_id": "1", "relevance": 1}, "judgments.grade=relevance"),
        (read_pairs, {"question": "1", "positive": "1"}, "pairs.query=question"),
        (read_pairs, {"query": "1", "answer": "1"}, "pairs.positive=answer"),
    ],
)
def test_a_column_that_is_called_otherwise_is_named_and_is_read_as_the_fault_says(tmp_path, ending, read, row, remedy):
    path = write_table(tmp_path, ending, [row])
    fault = the_fault(read(path))
    assert fault.remedy.endswith((f"--set columns.{remedy}", "--make-ids"))
    assert f"--set columns.{remedy}" in fault.remedy
    recipe = load_recipe(None, overrides=(f"columns.{remedy}",))
    assert len(records(read(path, columns=recipe.columns))) == 1


def test_a_column_of_no_known_name_is_not_guessed(tmp_path):
    path = write_table(tmp_path, "csv", [{"nummer": "1", "text": "rain"}])
    assert "[columns.documents] in nearer.toml" in the_fault(read_documents(path)).remedy
