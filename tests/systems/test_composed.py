"""Systems of more than an encoder: named, measured, promoted, served and rolled back like any other."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from folders import split_by_ordinal, synthetic_rows, versioned_rows, write_beir, write_jsonl
from nearer.advice.remedies import boost_remedy, read_metadata_schema
from nearer.core import analysis
from nearer.core.analysis import ENGLISH
from nearer.core.errors import InputError
from nearer.core.progress import Silent
from nearer.encode.embedded import Corpora
from nearer.evaluation.diagnosis.background import Background
from nearer.evaluation.exclusions import nothing_excluded
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ranking import rank
from nearer.evaluation.splits import ensure_splits
from nearer.flows.add import add
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.flows.search import search
from nearer.retrieval.lexical import LexicalIndex
from nearer.store.workspace import Workspace
from nearer.systems import in_order, open_system, parse_name
from nearer.systems.lexical import read_bm25
from nearer.systems.pipeline import Found, combine
from nearer.vectors.topk import TopK
from processes import Running


@pytest.fixture
def workspace(base_live):
    opened = Workspace.open(base_live)
    yield opened
    opened.close()


def set_recipe(folder, **lines):
    """Lay keys of [search] over the recipe of a workspace."""
    text = (folder / "nearer.toml").read_text()
    (folder / "nearer.toml").write_text(text + "\n[search]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items()))


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("base", ("base", ())),
        ("hybrid", ("base", ("hybrid",))),
        ("bm25+rerank", ("base", ("bm25", "rerank"))),
        ("live+rerank+hybrid+filter", ("live", ("filter", "hybrid", "rerank"))),
        ("model-1+boost", ("model-1", ("boost",))),
        ("some/c++", ("some/c++", ())),
        ("run:a+b.run", ("run:a+b.run", ())),
    ],
)
def test_a_name_is_an_encoder_and_stages_in_their_order(name, parsed):
    assert parse_name(name) == parsed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("base+hybrid+rerunk", "'rerunk' is no stage"),
        ("hybrid+bm25", "bm25 and hybrid do not go together"),
        ("base+filter", "needs search.filters"),
        ("base+boost", "needs search.boosts"),
        ("base+rerank", "needs search.rerank.model"),
        ("run:x.run+hybrid", "is a ranking, not a model"),
    ],
)
def test_stages_that_cannot_work_are_refused_in_words(workspace, name, reason):
    with pytest.raises(InputError, match=reason) as caught:
        open_system(workspace, name)
    assert caught.value.hint


def test_stages_named_twice_are_done_once():
    assert in_order(["rerank", "filter", "rerank"]) == ("filter", "rerank")


def test_combining_is_fusion_of_what_was_found(base_live):
    set_recipe(base_live, dense_weight=0.75)
    workspace = Workspace.open(base_live)
    dense = TopK(rows_QK=np.array([[0, 1]]), scores_QK=np.array([[0.9, 0.1]], np.float32))
    lexical = TopK(rows_QK=np.array([[2, 1]]), scores_QK=np.array([[4.0, 2.0]], np.float32))

    def combined(stage, dense, lexical, k):
        found = Found(queries=[], documents=[], dense=dense, lexical=lexical, passage_of=lambda *_: "")
        return combine(replace(open_system(workspace, "hybrid"), stages=(stage,)), found, k=k).rows_QK.tolist()

    assert combined("hybrid", dense, lexical, k=3) == [[0, 2, 1]]
    assert combined("rrf", dense, lexical, k=1) == [[1]]
    assert combined("bm25", None, lexical, k=2) == [[2, 1]]


def test_a_weight_of_one_ranks_as_the_vectors_do(base_live):
    set_recipe(base_live, dense_weight=1.0)
    workspace = Workspace.open(base_live)
    judged = read_judged_split(workspace, "dev")
    ranked = [
        rank(Corpora(workspace, Silent()), open_system(workspace, name), judged.queries)[1].rows_QK
        for name in ("base", "hybrid")
    ]
    workspace.close()
    assert np.array_equal(*ranked)


@pytest.mark.parametrize("name", ["bm25", "rrf", "hybrid"])
def test_what_is_served_is_what_was_measured(workspace, ask, name):
    system = open_system(workspace, name)
    judged = read_judged_split(workspace, "dev")
    embedded, measured, _ = rank(Corpora(workspace, Silent()), system, judged.queries)
    ask(workspace.folder, "promote", name, "--force", "--reason", "to serve it", code=None)
    for query, rows_K in list(zip(judged.queries, measured.rows_QK, strict=True))[:8]:
        served = [each["doc_id"] for each in search(workspace, query.text, k=5)["results"]]
        assert served == [embedded.corpus.doc_ids[row] for row in rows_K[:5] if row >= 0][: len(served)]
        assert len(served) == min(5, int((rows_K >= 0).sum()))


@pytest.mark.exhaustive
def test_a_composed_system_lives_as_any_other(base_live, ask):
    evaluated = ask(base_live, "evaluate", "base", "bm25", "hybrid")
    assert [each["system"] for each in evaluated["results"]] == ["base", "bm25", "hybrid"]
    promoted = ask(base_live, "promote", "hybrid", "--force", "--reason", "a test", code=None)
    assert promoted["verdict"] == "promoted"
    assert "is live already" in ask(base_live, "promote", "hybrid", code=2)["error"]["message"]
    live = ask(base_live, "status")["live"]
    assert (live["release_id"], live["stages"]) == (promoted["release_id"], ["hybrid"])
    on_live = ask(base_live, "evaluate", "live")
    assert on_live["results"][0]["metrics"] == evaluated["results"][2]["metrics"]
    ask(base_live, "rollback")
    assert ask(base_live, "status")["live"]["stages"] == []
    assert ask(base_live, "evaluate", "live")["results"][0]["metrics"] == evaluated["results"][0]["metrics"]


@pytest.mark.exhaustive
def test_a_release_keeps_its_weight_whatever_the_recipe_says_later(base_live, ask):
    set_recipe(base_live, dense_weight=0.0)
    ask(base_live, "promote", "hybrid", "--force", "--reason", "a test", code=None)
    before = ask(base_live, "evaluate", "live")["results"][0]["metrics"]
    text = (base_live / "nearer.toml").read_text()
    (base_live / "nearer.toml").write_text(text.replace("dense_weight = 0.0", "dense_weight = 1.0"))
    assert ask(base_live, "evaluate", "live")["results"][0]["metrics"] == before
    assert ask(base_live, "evaluate", "live", "hybrid")["results"][1]["metrics"] != before


@pytest.mark.parametrize("kind", [[], ["--adapter", "query"]])
def test_training_starts_from_a_model_not_from_a_composition(base_live, ask, kind):
    error = ask(base_live, "train", *kind, "--from", "hybrid", code=2)["error"]
    assert "more than a model" in error["message"]
    assert "--from base" in error["hint"]


def test_served_words_follow_the_documents(base_live, ask):
    ask(base_live, "promote", "bm25", "--force", "--reason", "a test", code=None)
    workspace = Workspace.open(base_live)
    first = search(workspace, workspace.collection.queries("dev")[0].text)["results"][0]["doc_id"]
    workspace.close()
    ask(base_live, "remove", first)
    workspace = Workspace.open(base_live)
    found = search(workspace, workspace.collection.queries("dev")[0].text)["results"]
    workspace.close()
    assert first not in [each["doc_id"] for each in found]


def test_words_are_kept_for_one_revision_and_made_anew_when_damaged(workspace, monkeypatch):
    made = []
    build = LexicalIndex.__init__
    monkeypatch.setattr(LexicalIndex, "__init__", lambda self, *a, **k: (made.append(1), build(self, *a, **k))[1])
    first = read_bm25(workspace, language=ENGLISH).index.search(["harbour lantern"], k=3)
    again = read_bm25(workspace, language=ENGLISH).index.search(["harbour lantern"], k=3)
    assert len(made) == 1
    assert np.array_equal(first.rows_QK, again.rows_QK)
    [kept] = workspace.lexical.iterdir()
    (kept / "data.csc.index.npy").write_bytes(b"cut")
    repaired = read_bm25(workspace, language=ENGLISH).index.search(["harbour lantern"], k=3)
    assert len(made) == 2
    assert np.array_equal(first.scores_QK, repaired.scores_QK)
    assert [each.name for each in workspace.lexical.iterdir()] == [kept.name]
    read_bm25(workspace, language=ENGLISH)
    assert len(made) == 2


def test_words_of_another_language_or_analyser_are_made_anew(workspace, monkeypatch):
    made = []
    build = LexicalIndex.__init__
    monkeypatch.setattr(LexicalIndex, "__init__", lambda self, *a, **k: (made.append(1), build(self, *a, **k))[1])
    read_bm25(workspace, language=ENGLISH)
    num_made = len(made)
    read_bm25(workspace, language="german")
    assert len(made) == num_made + 1
    monkeypatch.setattr(analysis, "VERSION", "another")
    read_bm25(workspace, language="german")
    assert len(made) == num_made + 2
    read_bm25(workspace, language="german")
    assert len(made) == num_made + 2


def test_without_room_for_words_they_are_made_each_time(workspace):
    shutil.rmtree(workspace.lexical, ignore_errors=True)
    workspace.lexical.write_text("a file where the folder would be")
    assert read_bm25(workspace, language=ENGLISH).index.has_terms


@pytest.mark.exhaustive
def test_a_process_killed_when_it_kept_words_leaves_them_whole(base_live):
    shutil.rmtree(base_live / ".nearer" / "lexical", ignore_errors=True)
    assert Running("evaluate", "bm25", "--dir", base_live, die_at="lexical.kept").wait().was_killed
    again = Running("evaluate", "bm25", "--dir", base_live).wait()
    assert again.code == 0, again.printed


# Filters, boosts and rerankers


RULES = ["region=query.region", "in_stock=true"]


@pytest.fixture
def versioned(tmp_path, new_workspace, topic_cross_encoder_folder):
    """A workspace in which every document is there in three regions and once sold out, in the same words."""
    rows = versioned_rows(synthetic_rows(num_documents=24, queries_each=3))
    beir = write_beir(tmp_path / "versioned", rows, split_of=split_by_ordinal)
    folder = new_workspace(
        search={
            "query_time_fields": ["region"],
            "filters": RULES,
            "boosts": {"year": {"weight": 0.5, "low": 2000, "high": 2019}},
            "rerank": {"model": str(topic_cross_encoder_folder)},
        },
        index={"filter_fields": ["region", "in_stock"]},
    )
    opened = Workspace.open(folder)
    add(opened, "beir", beir)
    yield opened
    opened.close()


def test_a_filter_leaves_only_what_the_query_asks_for(versioned):
    judged = read_judged_split(versioned, "dev")
    corpora = Corpora(versioned, Silent())
    _, ranked, _ = rank(corpora, open_system(versioned, "base+filter"), judged.queries)
    for query, rows_K in zip(judged.queries, ranked.rows_QK, strict=True):
        found = [corpora.documents[row].metadata for row in rows_K if row >= 0]
        assert len(found) == 24
        assert {(each["region"], each["in_stock"]) for each in found} == {(query.metadata["region"], True)}


def test_a_filter_makes_the_difference_where_texts_are_alike(versioned):
    result = evaluate(versioned, ["base", "base+filter"])
    before, after = (each["metrics"]["nDCG@10"]["value"] for each in result["results"])
    assert after > before + 0.1


@pytest.mark.parametrize("name", ["base+filter", "bm25+filter", "hybrid+filter", "base+boost", "base+rerank"])
def test_what_filters_boosts_and_reranks_serves_what_was_measured(versioned, ask, name):
    judged = read_judged_split(versioned, "dev")
    embedded, measured, _ = rank(Corpora(versioned, Silent()), open_system(versioned, name), judged.queries)
    corpus = embedded.corpus
    ask(versioned.folder, "promote", name, "--force", "--reason", "to serve it", code=None)
    for query, rows_K in list(zip(judged.queries, measured.rows_QK, strict=True))[:5]:
        known = {"region": query.metadata["region"]} if "filter" in name else {}
        answer = search(versioned, query.text, k=5, known=known)
        first = {corpus.documents[row].full_text: corpus.doc_ids[row] for row in rows_K[::-1] if row >= 0}
        once = [doc_id for row in rows_K if row >= 0 and (doc_id := corpus.doc_ids[row]) in first.values()]
        assert [each["doc_id"] for each in answer["results"]] == once[:5], "documents of one text take one rank"
        assert answer["unused_rules"] == ()


def test_a_query_that_says_nothing_is_filtered_by_what_is_left(versioned, nearer):
    nearer("promote", "base+filter", "--force", "--reason", "a test", "--dir", versioned.folder)
    answer = search(versioned, "weather", k=96)
    assert tuple(answer["unused_rules"]) == ("region=query.region",)
    assert sum(1 + len(each["identical_ids"]) for each in answer["results"]) == 72
    outcome = nearer("search", "weather", "--known", "region=north", "-k", 96, "--json", "--dir", versioned.folder)
    assert len(outcome.json["results"]) == 24


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--known", "colour=red"], "makes no use of the query's 'colour'"),
        (["--known", "region"], "is not FIELD=VALUE"),
    ],
)
def test_what_is_said_of_a_query_must_be_of_use(versioned, nearer, arguments, reason):
    nearer("promote", "base+filter", "--force", "--reason", "a test", "--dir", versioned.folder)
    outcome = nearer("search", "weather", *arguments, "--dir", versioned.folder)
    assert outcome.exit_code == 2
    assert reason in outcome.err


def test_a_filter_whose_fields_the_index_lacks_says_which(versioned):
    recipe = versioned.recipe.model_copy(
        update={"index": versioned.recipe.index.model_copy(update={"filter_fields": ()})}
    )
    without = Workspace(folder=versioned.folder, recipe=recipe, database=versioned.database)
    with pytest.raises(InputError, match="region") as caught:
        promote(without, "base+filter", force_reason="a test")
    assert "index.filter_fields" in caught.value.hint


@pytest.mark.parametrize("field", ["label_topic", "colour"])
def test_a_rule_with_a_field_that_may_not_filter_is_refused(versioned, ask, field):
    setting = f'search.filters=["{field}=query.{field}"]'
    error = ask(versioned.folder, "evaluate", "base+filter", "--set", setting, code=2)["error"]
    assert field in error["message"]


def test_a_reranker_that_is_missing_is_reported(versioned, ask):
    error = ask(versioned.folder, "evaluate", "base+rerank", "--set", "search.rerank.model=./gone", code=2)["error"]
    assert "no such model folder" in error["message"]
    assert error["hint"]


@pytest.mark.exhaustive
def test_a_reranker_that_changed_is_refused(versioned, ask, topic_cross_encoder_folder, tiny_cross_encoder_folder):
    own = shutil.copytree(tiny_cross_encoder_folder, versioned.folder / "reranker")
    ask(versioned.folder, "promote", "base+rerank", "--force", "--reason", "a test", "--set",
        f"search.rerank.model={own}", code=None)  # fmt: skip
    shutil.rmtree(own)
    shutil.copytree(topic_cross_encoder_folder, own)
    error = ask(versioned.folder, "search", "weather", code=2)["error"]
    assert "now is another reranker" in error["message"]


def test_a_reranker_keeps_as_many_as_the_recipe_says(versioned, ask):
    ask(versioned.folder, "promote", "base+rerank", "--force", "--reason", "a test", code=None)
    assert len(search(versioned, "weather")["results"]) == 5
    assert len(search(versioned, "weather", k=7)["results"]) == 7


@pytest.fixture
def coded(tmp_path, new_workspace):
    """A workspace from CSV: codes that look like numbers, which the recipe calls text."""
    folder = new_workspace(
        search={"boosts": {"code": {"weight": 0.5, "low": 0, "high": 20}}},
        columns={"documents": {"metadata": {"code": "text"}}},
    )
    rows = synthetic_rows(num_documents=12, queries_each=2)
    lines = [f'{each["_id"]},"{each["text"]}",{number}' for number, each in enumerate(rows["corpus"])]
    (tmp_path / "corpus.csv").write_text("\n".join(["doc_id,text,code", *lines]) + "\n")
    opened = Workspace.open(folder)
    add(opened, "corpus", tmp_path / "corpus.csv")
    for kind in ("queries", "judgments"):
        add(opened, kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
    yield opened
    opened.close()


def test_a_field_that_the_recipe_calls_text_does_not_boost_in_evaluate_or_search(coded, ask):
    reported = "'code' cannot boost: it is text, as columns.documents.metadata says"
    error = ask(coded.folder, "evaluate", "base+boost", code=2)["error"]
    assert reported in error["message"]
    recipe = coded.folder / "nearer.toml"
    as_it_is = recipe.read_text()
    recipe.write_text(as_it_is.replace('code = "text"', ""))
    ask(coded.folder, "promote", "base+boost", "--force", "--reason", "to serve it", code=None)
    assert ask(coded.folder, "search", "weather")["results"]
    recipe.write_text(as_it_is)
    assert reported in ask(coded.folder, "search", "weather", code=2)["error"]["message"]


def test_advice_and_diagnosis_read_types_as_the_recipe_says(coded):
    ensure_splits(coded)
    judged, documents = read_judged_split(coded, "dev"), coded.collection.documents()
    plain = coded.with_recipe(coded.recipe.model_copy(update={"columns": type(coded.recipe.columns)()}))
    for opened, kind in ((plain, "integer"), (coded, "text")):
        data = SimpleNamespace(workspace=opened, queries=judged.queries, corpus=SimpleNamespace(documents=documents))
        assert read_metadata_schema(data).fields["code"] == kind
        background = Background(opened, judged, documents, nothing_excluded())
        assert background._schema.fields["code"] == kind
    skipped = boost_remedy(data, read_metadata_schema(data))
    assert "no document field holds several numbers or dates" in skipped.reason


def test_a_boost_by_date_may_be_written_as_dates(versioned):
    documents = [
        replace(document, metadata={"day": f"20{number % 20:02}-01-01"})
        for number, document in enumerate(versioned.collection.documents())
    ]
    boosts = {"day": {"weight": 5.0, "low": "2000-01-01", "high": "2019-01-01"}}
    search_recipe = type(versioned.recipe.search).model_validate({"boosts": boosts})
    system = replace(open_system(versioned, "base"), stages=("boost",), search=search_recipe)
    rows_QK = np.arange(len(documents))[None]
    dense = TopK(rows_QK=rows_QK, scores_QK=np.linspace(1, 0, len(documents), dtype=np.float32)[None])
    found = Found(queries=[], documents=documents, dense=dense, lexical=None, passage_of=lambda *_: "")
    best = combine(system, found, k=2).rows_QK[0]
    assert {documents[row].metadata["day"] for row in best} == {"2019-01-01"}
