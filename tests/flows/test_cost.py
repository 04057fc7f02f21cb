"""What it costs on paper: where the rate comes from, and how it is shown."""

from dataclasses import replace

import pytest

from nearer import cost
from nearer.core.errors import InputError
from nearer.core.progress import Silent
from nearer.core.recipe import Recipe
from nearer.flows import cost as flow
from nearer.flows import throughput
from nearer.flows.throughput import Throughput, measure_throughput
from nearer.store.workspace import Workspace

SAMPLE = Throughput(
    texts="256 documents of the workspace",
    model="a-model",
    dims=384,
    device="cpu",
    num_texts=1000,
    duration_s=10.0,
    passages_per_document=2.0,
    tokens_per_document=150.0,
)
ISSUE = ["cost", "--documents", "100_000_000", "--dims", "384,1024,3072", "--precision", "float32,int8,binary"]


@pytest.fixture
def sampled(monkeypatch):
    """A measured rate that is always the same: 100 passages a second."""
    monkeypatch.setattr(flow, "measure_throughput", lambda *_: SAMPLE)


@pytest.mark.usefixtures("sampled")
def test_one_hundred_million_documents_as_people_see_them(nearer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = nearer(*ISSUE)
    assert shown.exit_code == 0
    lines = shown.out.splitlines()
    assert "100,000,000 documents" in lines[0]
    assert "100 documents/s measured with a-model (384 dimensions, cpu)" in lines[0]
    [small] = [line for line in lines if line.startswith("384 ") and "float32" in line]
    [large] = [line for line in lines if line.startswith("3072 ") and "float32" in line]
    assert "154 GB" in small
    assert "278 h" in small
    assert "at least" not in small
    assert "1.23 TB" in large
    assert "at least 17,778 h" in large
    assert large.rstrip().endswith("8x")
    assert sum(line.split()[1] in ("float32", "int8", "binary") for line in lines) == 9
    assert any("estimated" in line for line in lines)


@pytest.mark.usefixtures("sampled")
def test_the_same_as_json(nearer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = nearer(*ISSUE, "--json").json
    rows = {(row["dims"], row["precision"]): row for row in found["rows"]}
    assert len(rows) == 9
    assert rows[384, "float32"]["raw_bytes"] == 153_600_000_000
    assert rows[3072, "float32"]["raw_bytes"] == 1_228_800_000_000
    assert rows[384, "float32"]["hours_origin"] == "measured"
    assert rows[3072, "float32"]["hours_origin"] == "estimated"
    assert rows[1024, "binary"]["relative_search_cost"] == pytest.approx(1024 / 8 / 1536)
    assert rows[384, "int8"]["usd"] == {"reembedding": None, "storage_month": None}
    assert found["api_usd"] is None
    assert found["throughput"]["origin"] == "measured"


@pytest.mark.usefixtures("sampled")
def test_prices_come_from_the_recipe_and_from_set(nearer, new_workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    priced = nearer(
        *("cost", "--documents", "1M", "--dir", new_workspace(cost={"machine_usd_per_hour": 2.0}), "--json"),
        *("--set", "cost.storage_usd_per_gb_month=0.5", "--set", "cost.api_usd_per_million_tokens=0.1"),
    ).json
    [row] = priced["rows"]
    assert row["usd"]["reembedding"] == pytest.approx(2 * 1e6 / 100 / 3600)
    assert row["usd"]["storage_month"]["raw"] == pytest.approx(0.5 * 1.536)
    assert priced["api_usd"] == pytest.approx(150 * 0.1)
    shown = nearer(
        *("cost", "--documents", "1M", "--documents-per-second", "100"),
        *("--set", "cost.machine_usd_per_hour=2", "--set", "cost.storage_usd_per_gb_month=0.5"),
        *("--set", "cost.api_usd_per_million_tokens=0.1", "--set", "cost.tokens_per_document=150"),
    )
    assert "re-embedding USD" in shown.out
    assert "HNSW USD/month" in shown.out
    assert "would charge 15 USD" in shown.out


def test_a_given_rate_needs_no_model_and_no_workspace(nearer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flow, "measure_throughput", None)
    found = nearer("cost", "--documents", "10k", "--dims", "384,768", "--documents-per-second", "50", "--json").json
    assert {row["hours_origin"] for row in found["rows"]} == {"given"}
    assert found["rows"][0]["reembedding_hours"] == pytest.approx(10_000 / 50 / 3600)
    assert "one rate" in found["notes"][0]
    each = nearer("cost", "--documents", "10k", "--dims", "384,768", "--documents-per-second", "50,10", "--json").json
    assert [row["reembedding_hours"] * 3600 for row in each["rows"]] == pytest.approx([200, 1000])
    assert not each["notes"]
    assert nearer("cost", "--documents", "10k", "--documents-per-second", "50").out.splitlines()[0].endswith("as given")


@pytest.mark.usefixtures("sampled")
def test_passages_make_more_vectors_and_a_slower_job():
    once, twice = (cost("1M", passages_per_document=number) for number in (1.0, 2.0))
    assert twice["num_vectors"] == 2 * once["num_vectors"] == 2_000_000
    assert twice["rows"][0]["raw_bytes"] == 2 * once["rows"][0]["raw_bytes"]
    assert twice["rows"][0]["reembedding_hours"] == pytest.approx(2 * once["rows"][0]["reembedding_hours"])
    assert "--passages-per-document 2.00" in once["notes"][0]
    assert not twice["notes"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--documents", "none"], "not a number of things"),
        (["--documents", "0"], "none at all"),
        (["--documents", "1M", "--dims", "384,x"], "--dims 384,x"),
        (["--documents", "1M", "--dims", ""], "no dimensions"),
        (["--documents", "1M", "--dims", "0"], "at least 1 dimension"),
        (["--documents", "1M", "--precision", "int4"], "'int4'"),
        (["--documents", "1M", "--documents-per-second", "0"], "encode nothing"),
        (["--documents", "1M", "--documents-per-second", "nan"], "encode nothing"),
        (["--documents", "1M", "--documents-per-second", "1,2"], "2 rates for 1 dimensions"),
        (["--documents", "1M", "--passages-per-document", "0.5"], "0.5 passages"),
        (["--documents", "1M", "--passages-per-document", "inf"], "inf passages"),
        (["--documents", "1M", "--documents-per-second", "9", "--set", "cost.api_usd_per_million_tokens=1"], "token"),
        (["--documents", "1M", "--set", "cost.api_usd=1"], "unknown key"),
        (["--documents", "1M", "--dir", "nowhere"], "not a workspace"),
        ([], "--documents"),
    ],
)
@pytest.mark.usefixtures("sampled")
def test_what_cannot_be_reckoned_is_refused(nearer, tmp_path, monkeypatch, arguments, part):
    monkeypatch.chdir(tmp_path)
    outcome = nearer("cost", *arguments, "--json")
    assert outcome.exit_code == 2
    assert part in outcome.json["error"]["message"]
    assert outcome.json["error"]["hint"]


@pytest.mark.parametrize("documents", [0, -5])
def test_no_documents_are_refused_from_python(documents):
    with pytest.raises(InputError):
        cost(documents, documents_per_second=[10])


def test_the_rate_is_measured_on_the_documents_after_a_warm_up(base_live):
    ticks = iter(range(100))
    workspace = Workspace.open(base_live)
    found = measure_throughput(workspace, workspace.recipe, Silent(), clock=lambda: next(ticks))
    assert (found.texts, found.dims) == ("80 documents of the workspace", 32)
    assert found.num_texts >= 80
    assert found.duration_s == -(-found.num_texts // 32)  # a tick a batch of 32
    assert found.tokens_per_document > 5
    assert found.passages_per_document == found.num_texts / 80
    workspace.close()


def test_measuring_stops_in_time(base_live):
    ticks = iter(range(0, 10_000, 100))
    workspace = Workspace.open(base_live)
    found = measure_throughput(workspace, workspace.recipe, Silent(), clock=lambda: next(ticks))
    assert found.num_texts <= 32
    workspace.close()


@pytest.mark.slow
def test_without_documents_the_standard_library_is_encoded(tiny_model_folder, new_workspace, monkeypatch):
    monkeypatch.setattr(throughput, "SAMPLE_DOCUMENTS", 40)
    recipe = Recipe.model_validate({"encoder": {"model": str(tiny_model_folder)}})
    ticks = iter(range(0, 10_000, 100))
    without = measure_throughput(None, recipe, Silent(), clock=lambda: next(ticks))
    assert without.texts == "40 functions of the Python standard library"
    workspace = Workspace.open(new_workspace())
    empty = measure_throughput(workspace, workspace.recipe, Silent(), clock=lambda: next(ticks))
    assert replace(empty, duration_s=1, passages_per_document=1, num_texts=1) == replace(
        without, duration_s=1, passages_per_document=1, num_texts=1
    )
    workspace.close()
