"""The largest wins and losses say why the worse system failed."""

import json

import pytest

from nearer.core.progress import Silent
from nearer.encode.embedded import Corpora
from nearer.evaluation.diagnosis.background import Background
from nearer.evaluation.examples import _whys, examples
from nearer.evaluation.exclusions import nothing_excluded
from nearer.evaluation.judged_split import read_judged_split
from nearer.evaluation.ranking import measure, measure_run
from nearer.flows.diagnose import diagnose
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.flows.report import report
from nearer.measure.diagnosis import CAUSES
from nearer.store.workspace import Workspace
from nearer.systems import open_system


@pytest.fixture
def filled(make_workspace, fill_workspace):
    workspace = make_workspace(
        {"split": {"dev_fraction": 0.3, "test_fraction": 0.2}, "evaluate": {"measures": ["nDCG@10", "Recall@1"]}}
    )
    fill_workspace(workspace)
    return workspace


def write_run(path, rankings):
    lines = [
        f"{query_id} Q0 {doc_id} {rank} {1000 - rank} made\n"
        for query_id, doc_ids in rankings.items()
        for rank, doc_id in enumerate(doc_ids, start=1)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return f"run:{path}"


@pytest.fixture
def dev(filled):
    evaluate(filled)  # draws the splits, encodes the documents
    return read_judged_split(filled, "dev")


def test_wins_are_the_fault_of_the_baseline_and_losses_of_the_candidate(filled, dev, tmp_path):
    perfect = write_run(tmp_path / "perfect", dict(dev.relevant))
    won = evaluate(filled, ["base", perfect])["examples"]
    assert {each["kind"] for each in won} == {"win"}
    lost = evaluate(filled, [perfect, "base"])["examples"]
    assert {each["kind"] for each in lost} == {"loss"}
    by_query = diagnose(filled, "base")["by_query"]
    for each in (*won, *lost):
        assert each["why"]["system"] == "base"
        assert each["why"]["cause"] == by_query[each["query_id"]]
        assert each["why"]["meaning"] == CAUSES[each["why"]["cause"]].meaning
        assert each["why"]["evidence"]


def test_of_several_candidates_each_has_its_own_examples(filled, dev, tmp_path):
    query_ids = [query.query_id for query in dev.queries]
    perfect = write_run(tmp_path / "perfect", dict(dev.relevant))
    empty = write_run(tmp_path / "empty", {query_ids[0]: dev.relevant[query_ids[0]]})
    found = evaluate(filled, ["base", perfect, empty])["examples"]
    assert {(each["candidate"], each["kind"], each["why"]["system"]) for each in found} >= {
        (perfect, "win", "base"),
        (empty, "loss", empty),
    }
    missing = [each["why"] for each in found if each["candidate"] == empty and each["kind"] == "loss"]
    assert missing
    assert all("not ranked" in why["evidence"] for why in missing)


def test_of_a_run_only_rankings_and_texts_are_known(filled, dev, tmp_path):
    query_ids = [query.query_id for query in dev.queries][:3]
    relevant = {query_id: dev.relevant[query_id][0] for query_id in query_ids}
    others = [doc_id for doc_id in dev.doc_ids if doc_id not in relevant.values()][:25]
    run = {
        query_ids[0]: ["nowhere", relevant[query_ids[0]]],
        query_ids[1]: [*others[:1], relevant[query_ids[1]]],
        query_ids[2]: [*others[:24], relevant[query_ids[2]]],
    }
    measured = measure_run(Corpora(filled, Silent()), write_run(tmp_path / "made.run", run), dev)
    background = Background(filled, dev, filled.collection.documents(), nothing_excluded())
    whys = _whys(Corpora(filled, Silent()), background, measured, [0, 1, 2])
    assert [whys[row]["cause"] for row in range(3)] in (
        ["order", "order", "depth"],
        ["order", "order", "exact_identifier"],
    )
    assert whys[0]["evidence"].endswith("is at rank 2")


def test_a_query_that_is_ranked_as_it_should_be_has_no_cause(filled, dev, tmp_path):
    perfect = measure_run(Corpora(filled, Silent()), write_run(tmp_path / "perfect", dict(dev.relevant)), dev)
    background = Background(filled, dev, filled.collection.documents(), nothing_excluded())
    assert _whys(Corpora(filled, Silent()), background, perfect, list(range(len(dev.queries)))) == {}


def test_one_system_alone_has_no_examples(filled, dev):
    measured = measure(Corpora(filled, Silent()), open_system(filled, "base"), dev)
    assert examples(Corpora(filled, Silent()), dev, [measured], metric="nDCG@10") == ()


def test_the_report_says_why(filled, dev, tmp_path):
    perfect = write_run(tmp_path / "perfect", dict(dev.relevant))
    why = evaluate(filled, [perfect, "base"])["examples"][0]["why"]
    with open(report(filled)["report"], encoding="utf-8") as page:
        text = page.read()
    assert f"Why the candidate did worse: {why['meaning']} (<code>{why['cause']}</code>)" in text
    assert why["evidence"] in text


def test_the_gate_keeps_the_reasons_with_its_evidence(trained):
    workspace = Workspace.open(trained)
    found = promote(workspace).to_dict()["evaluation"]["examples"]
    workspace.close()
    assert found
    assert all(each["why"]["cause"] in CAUSES for each in found)
    assert json.loads(json.dumps(found)) == found
