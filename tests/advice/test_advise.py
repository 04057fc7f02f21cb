"""Advice: every remedy measured out of fold, the verdict, what it costs, what it writes, and what it refuses."""

import json
import tomllib

import numpy as np
import pytest

import nearer as package
from folders import split_by_ordinal, synthetic_rows, versioned_rows, write_beir, write_jsonl
from nearer.advice.advice_data import AdviceData
from nearer.advice.confirm import build
from nearer.advice.remedies import Remedy, boost_remedy, filter_remedy, lexical_remedies, read_metadata_schema
from nearer.advice.write import write_changes
from nearer.core.errors import InputError, ModelRefused, RecipeError
from nearer.core.progress import Silent
from nearer.core.results.advice import SkippedRemedy
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.embedded import Corpora
from nearer.evaluation.corpus_ranker import pairs_of
from nearer.evaluation.ranking import rank
from nearer.flows.add import add
from nearer.store.workspace import Workspace
from nearer.systems import open_system

QUICK = {
    "advise": {"curve_pairs": 16, "min_pairs": 10},
    "adapter": {"max_epochs": 2},
    "evaluate": {"num_resamples": 200},
}
ROW = {"name", "metrics", "difference", "low", "high", "p_value", "latency_ms", "index_work", "reindex_hours", "cost"}


@pytest.fixture(scope="module")
def beir_versioned(tmp_path_factory):
    """Every document three times, for three regions, and once sold out; only the fields tell them apart."""
    rows = versioned_rows(synthetic_rows(num_documents=24, queries_each=3))
    return write_beir(tmp_path_factory.mktemp("sets") / "versioned", rows, split_of=split_by_ordinal)


@pytest.fixture
def versioned(new_workspace, beir_versioned):
    """A workspace whose queries say which region they are about."""
    workspace = Workspace.open(new_workspace(**QUICK, search={"query_time_fields": ["region"]}))
    add(workspace, "beir", beir_versioned)
    yield workspace
    workspace.close()


@pytest.fixture
def plain(new_workspace, beir):
    """A workspace without metadata that could filter."""
    workspace = Workspace.open(new_workspace(**QUICK))
    add(workspace, "beir", beir)
    yield workspace
    workspace.close()


def names(result):
    return [each["name"] for each in result["remedies"]]


def test_where_only_a_field_tells_documents_apart_the_verdict_is_a_filter(versioned):
    result = package.advise(versioned)
    assert result["verdict"] == "filter"
    assert result["remedy"].startswith("base+filter")
    assert result["changes"]["search.filters"] == ["region=query.region"] or set(
        result["changes"]["search.filters"]
    ) == {
        "region=query.region",
        "in_stock=true",
    }
    chosen = next(each for each in result["remedies"] if each["name"] == "base+filter")
    assert chosen.keys() >= ROW
    assert chosen["low"] > 0.1
    assert chosen["index_work"] == "none"
    assert result["confirmed"]["difference"] > 0.1
    assert result["confirmed"]["ledger"]["num_test_uses"] == 1
    assert result["next"] == ("nearer advise --write",)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_every_remedy_is_there_or_told_why_not(plain):
    result = package.advise(plain)
    reported = {each["name"]: each["reason"] for each in result["not_measured"]}
    assert "search.query_time_fields" in reported["base+filter"]
    assert "no document field" in reported["base+boost"]
    assert "search.rerank.model" in reported["base+rerank"]
    measured = {*names(result), *reported}
    assert {"base", "bm25", "rrf", "hybrid", "fine_tune"} <= measured
    assert any(name.startswith("adapter:query") for name in measured)
    assert any(name.startswith("adapter:shared") for name in measured)
    for each in result["remedies"][1:]:
        assert each["low"] <= each["difference"] <= each["high"]
    assert result["diagnosis"]["num_failed"] == sum(each["num_queries"] for each in result["diagnosis"]["causes"])


def test_a_field_that_the_recipe_does_not_name_never_filters(versioned):
    recipe = versioned.recipe.model_copy(
        update={"search": versioned.recipe.search.model_copy(update={"query_time_fields": ()})}
    )
    blind = AdviceData(Workspace(folder=versioned.folder, recipe=recipe, database=versioned.database), Silent())
    remedy, _ = filter_remedy(blind, read_metadata_schema(blind))
    assert "query." not in json.dumps(dict(getattr(remedy, "changes", {})))


def test_the_pairs_of_a_fold_are_those_of_its_queries(versioned):
    data = AdviceData(versioned, Silent())
    for fold in range(data.num_folds):
        rows_S = data.tuned_on(fold)
        places, documents = pairs_of(data.relevant, rows_S, num_queries=len(data.queries))
        ids = [data.queries[row].query_id for row in rows_S]
        found = [(ids[place], data.corpus.doc_ids[row]) for place, row in zip(places, documents, strict=True)]
        assert found == [(query_id, doc_id) for query_id in ids for doc_id in data.judged.relevant[query_id]]


def test_what_a_fold_is_worth_changes_nothing_of_how_it_is_ranked(versioned, monkeypatch):
    """Judgments of the fold that judges are turned upside down: its rankings stay, as nothing was tuned on them."""

    def rankings(data):
        schema = read_metadata_schema(data)
        remedies = [
            filter_remedy(data, schema)[0],
            boost_remedy(data, schema),
            *lexical_remedies(data, data.dense, data.lexical),
        ]
        return {each.name: each.ranked.rows_QK for each in remedies if isinstance(each, Remedy)}

    honest = AdviceData(versioned, Silent())
    judged, before = honest.judged_by(0), rankings(honest)
    spoiled = AdviceData(versioned, Silent())
    true_values = spoiled.main

    def turned(rows_QK):
        values_Q = true_values(rows_QK).copy()
        values_Q[judged] = 1 - values_Q[judged]
        return values_Q

    monkeypatch.setattr(spoiled, "main", turned)
    after = rankings(spoiled)
    for name in before:
        assert np.array_equal(before[name][judged], after[name][judged]), name


def test_boosts_are_measured_as_deep_as_they_are_served(new_workspace, tmp_path):
    """Of 160 documents 150 are ranked and boosted, as the recipe says."""
    rows = versioned_rows(synthetic_rows(num_documents=40, queries_each=3))
    workspace = Workspace.open(new_workspace(**QUICK, search={"depth": 150}))
    add(workspace, "beir", write_beir(tmp_path / "deep", rows, split_of=split_by_ordinal))
    data = AdviceData(workspace, Silent())
    remedy = boost_remedy(data, read_metadata_schema(data))
    write_changes(workspace, remedy.changes)
    workspace.close()
    served = Workspace.open(workspace.folder)
    _, ranked, _ = rank(Corpora(served, Silent()), open_system(served, "base+boost"), data.queries[:5], k=150)
    served.close()
    assert ranked.rows_QK.shape == (5, 150)
    for row in range(5):
        found = remedy.work(row)
        assert np.array_equal(found.rows_QK[0], ranked.rows_QK[row])
        assert np.allclose(found.scores_QK[0], ranked.scores_QK[row], atol=1e-4)


def test_what_is_written_is_a_recipe_and_the_advised_system_is_one_like_any_other(versioned, ask):
    path = versioned.folder / "nearer.toml"
    path.write_text("# ours\n" + path.read_text())
    result = ask(versioned.folder, "advise", "--write", "--no-test")
    assert result["confirmed"] is None
    text = path.read_text()
    assert text.startswith("# ours\n")
    written = tomllib.loads(text)
    assert written["search"]["filters"] == result["changes"]["search.filters"]
    assert written["search"]["query_time_fields"] == ["region"]
    assert set(written["index"]["filter_fields"]) >= {"region"}
    evaluated = ask(versioned.folder, "evaluate", "base", result["remedy"])
    assert evaluated["comparisons"][0]["difference"] > 0.1
    assert ask(versioned.folder, "promote", result["remedy"])["verdict"] == "promoted"


def test_an_adapter_that_is_advised_becomes_a_model_only_when_it_is_written(plain, ask):
    data = AdviceData(plain, Silent())
    advised = build(plain, data, "adapter:query+hybrid", {"search.dense_weight": 0.25}, write=False)
    assert isinstance(advised.system.encoder, AdaptedEncoder)
    assert (advised.system.stages, advised.system.search.dense_weight) == (("hybrid",), 0.25)
    assert plain.registry.models() == []
    advised = build(plain, data, "adapter:query+hybrid", {"search.dense_weight": 0.25}, write=True)
    assert advised.written == ("search.dense_weight = 0.25",)
    model_id, stage = advised.name.split("+")
    assert stage == "hybrid"
    assert model_id in [model.model_id for model in plain.registry.models()]
    assert ask(plain.folder, "evaluate", advised.name)["results"][0]["system"] == advised.name


@pytest.mark.exhaustive
def test_a_reranker_is_measured_on_a_sample(plain, topic_cross_encoder_folder, ask, monkeypatch):
    monkeypatch.setattr("nearer.advice.remedies.RERANK_QUERIES", 12)
    named = f"search.rerank.model={topic_cross_encoder_folder}"
    result = ask(plain.folder, "advise", "--no-test", "--set", named)
    [row] = [each for each in result["remedies"] if each["name"] == "base+rerank"]
    assert row["num_queries"] == 12
    assert row["latency_ms"]["p50"] > 0


@pytest.mark.exhaustive
def test_other_encoders_and_chunks_are_set_beside_base(plain, tiny_model_folder, ask, tmp_path):
    import shutil

    copy = shutil.copytree(tiny_model_folder, tmp_path / "other")
    result = ask(
        plain.folder,
        "advise",
        "--no-test",
        "--set",
        f'advise.encoders=["{copy}"]',
        "--set",
        "advise.chunks=[{max_tokens=16}]",
        "--set",
        "cost.machine_usd_per_hour=3600",
    )
    rows = {each["name"]: each for each in result["remedies"]}
    assert rows[str(copy)]["difference"] == 0
    assert rows[str(copy)]["index_work"] == "re-embed"
    assert rows[str(copy)]["cost"]["reindex_usd"] == pytest.approx(3600 * rows[str(copy)]["reindex_hours"])
    assert rows["chunk:max_tokens=16"]["index_work"] == "re-embed"
    assert rows["chunk:max_tokens=16"]["changes"] == {"chunk.max_tokens": 16}


@pytest.mark.exhaustive
def test_it_is_in_the_report_and_not_in_the_history(versioned, ask):
    result = ask(versioned.folder, "advise", "--no-test")
    page = (versioned.folder / ask(versioned.folder, "report")["report"]).read_text()
    assert "What is worth doing" in page
    assert result["reasons"][0] in page
    assert ask(versioned.folder, "history")["events"] == []


def test_what_a_person_reads(versioned, nearer):
    out = nearer("advise", "--no-test", "--dir", versioned.folder).out
    assert "verdict: " in out
    assert "base+filter" in out
    assert "next: nearer advise --write" in out


# Bad input


def few_queries(folder, number, *, text=None):
    """A workspace of six documents and so many judged queries."""
    words = ["rain", "music", "water", "garden", "river", "train"]
    rows = {
        "corpus": [{"_id": f"d{n}", "text": f"{words[n % 6]} {words[(n + 1) % 6]}"} for n in range(6)],
        "queries": [{"_id": f"q{n}", "text": text or f"{words[n % 6]} number {n}"} for n in range(number)],
        "judgments": [{"query_id": f"q{n}", "doc_id": f"d{n % 6}", "grade": 1} for n in range(number)],
    }
    return write_beir(folder, rows, split_of=lambda query_id: "train")


@pytest.mark.parametrize(
    ("number", "text", "reason"),
    [(1, None, "only 1 judged queries"), (30, "the same", "only 30 judged queries of train and dev are all the same")],
)
def test_too_few_different_queries_are_reported(new_workspace, tmp_path, number, text, reason):
    workspace = Workspace.open(new_workspace(**QUICK))
    add(workspace, "beir", few_queries(tmp_path / "few", number, text=text))
    with pytest.raises(InputError, match=reason) as caught:
        package.advise(workspace)
    assert "nearer add judgments" in caught.value.hint
    workspace.close()


def test_no_judgments_are_reported(new_workspace, tmp_path):
    workspace = Workspace.open(new_workspace(**QUICK))
    add(workspace, "corpus", write_jsonl(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "rain"}]))
    with pytest.raises(InputError, match="no queries and no judgments"):
        package.advise(workspace)
    workspace.close()


def test_a_missing_reranker_is_reported_before_anything_is_measured(plain):
    recipe = plain.recipe.model_copy(
        update={
            "search": plain.recipe.search.model_copy(
                update={"rerank": plain.recipe.search.rerank.model_copy(update={"model": "./gone"})}
            )
        }
    )
    with pytest.raises(ModelRefused, match="no such model folder"):
        package.advise(Workspace(folder=plain.folder, recipe=recipe, database=plain.database))


def test_a_field_of_mixed_types_is_left_out_and_named(new_workspace, tmp_path):
    rows = versioned_rows(synthetic_rows(num_documents=24, queries_each=3))
    rows["corpus"][0]["metadata"]["year"] = "unknown"
    workspace = Workspace.open(new_workspace(**QUICK, search={"query_time_fields": ["region"]}))
    add(workspace, "beir", write_beir(tmp_path / "mixed", rows, split_of=split_by_ordinal))
    result = package.advise(workspace, confirm_on_test=False)
    notes = [note for each in result["remedies"] for note in each.get("notes", ())]
    assert any("'year'" in note for note in notes)
    assert result["remedy"].startswith("base+filter")
    workspace.close()


def test_where_no_other_field_is_left_the_reason_names_the_one_of_mixed_types(new_workspace, tmp_path):
    rows = synthetic_rows(num_documents=24, queries_each=3)
    for number, document in enumerate(rows["corpus"]):
        document["metadata"] = {"year": 2000 + number if number else "unknown", "tags": ["a", "b"]}
    workspace = Workspace.open(new_workspace(**QUICK))
    add(workspace, "beir", write_beir(tmp_path / "mixed", rows, split_of=split_by_ordinal))
    data = AdviceData(workspace, Silent())
    schema = read_metadata_schema(data)
    for skipped in (filter_remedy(data, schema)[0], boost_remedy(data, schema)):
        assert isinstance(skipped, SkippedRemedy)
        assert "field 'year' cannot filter: document 'd000' has text, document 'd001' has integer" in skipped.reason
    workspace.close()


def test_advice_that_cannot_be_written_loses_nothing(versioned):
    path = versioned.folder / "nearer.toml"
    before = path.read_text()
    with pytest.raises(RecipeError, match="'name' is a value, not a section"):
        write_changes(versioned, {"name.inner": 1})
    assert path.read_text() == before
