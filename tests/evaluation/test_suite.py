"""The regression suite: run for systems, part of the gate, kept for the report."""

import json
import shutil
from pathlib import Path

import pytest

import nearer as package
from folders import write_jsonl
from nearer.core.errors import Conflict
from nearer.core.progress import Silent
from nearer.core.records import Query
from nearer.core.results.measuring import SuiteRun
from nearer.encode.embedded import Corpora
from nearer.evaluation.ranking import rank
from nearer.evaluation.suite import open_suite, run_suite
from nearer.flows.remove import remove
from nearer.store.workspace import Workspace
from nearer.systems import open_system
from processes import run

TEXTS = ("music and water", "the law of the river", "school book", "army film", "church football")


def write_suite(path, *cases):
    """Cases as a suite."""
    tables = ["[[case]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in case.items()) for case in cases]
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def a_case(name="a", **fields):
    return {"name": name, "query": TEXTS[0], "must": ["d001"], **fields}


def ids(ask, folder, text, k=80):
    return [each["doc_id"] for each in ask(folder, "search", text, "-k", k)["results"]]


def rankings(folder, system):
    """The ids of all documents for each of some texts, best first, as a system ranks them."""
    workspace = Workspace.open(folder)
    doc_ids = tuple(workspace.collection.document_hashes())
    queries = [Query(query_id=text, text=text) for text in TEXTS]
    _, ranked, _ = rank(Corpora(workspace, Silent()), open_system(workspace, system), queries, k=80, as_served=True)
    workspace.close()
    return {text: [doc_ids[row] for row in rows if row >= 0] for text, rows in zip(TEXTS, ranked.rows_QK, strict=True)}


# The verb


def test_cases_are_judged_by_what_search_returns(ask, base_live, tmp_path):
    found = ids(ask, base_live, TEXTS[0])
    file = write_suite(
        tmp_path / "suite.toml",
        a_case("first three", must=found[:3], must_not=found[3:5], k=3),
        a_case("ten by default", must=[found[9]], must_not=[found[10]], group="edge"),
        a_case("too low", must=[found[1], found[11]], severity="minor", group="high_value"),
        a_case("in the way", must=[], must_not=[found[0], found[70]], severity="minor"),
    )
    result = ask(base_live, "suite", "--file", file)
    assert (result["file"], result["num_cases"], result["verdict"], result["changes"]) == (str(file), 4, "ok", [])
    [live] = result["results"]
    assert (live["system"], live["model_id"]) == ("live", ask(base_live, "status")["live"]["model_id"])
    assert live["counts"] == {
        "common": {"major": {"num_cases": 1, "num_failed": 0}, "minor": {"num_cases": 1, "num_failed": 1}},
        "edge": {"major": {"num_cases": 1, "num_failed": 0}},
        "high_value": {"minor": {"num_cases": 1, "num_failed": 1}},
    }
    assert live["num_failed"] == 2
    low, high = live["failed"]
    assert (low["name"], low["missing"], low["forbidden"]) == ("too low", [{"doc_id": found[11], "rank": 12}], [])
    assert (high["name"], high["missing"], high["forbidden"]) == ("in the way", [], [{"doc_id": found[0], "rank": 1}])


def test_a_critical_case_that_fails_exits_3(ask, base_live, tmp_path):
    last = ids(ask, base_live, TEXTS[0])[-1]
    for severity, code in (("critical", 3), ("major", 0)):
        file = write_suite(tmp_path / "suite.toml", a_case(must=[last], severity=severity))
        assert ask(base_live, "suite", "--file", file, code=code)["verdict"] == ("faults" if code else "ok")


def test_without_a_release_the_base_is_run_and_the_recipe_names_the_file(ask, new_workspace, beir):
    folder = new_workspace(gate={"suite": "tests/suite.toml"})
    ask(folder, "add", "beir", beir)
    (folder / "tests").mkdir()
    write_suite(folder / "tests" / "suite.toml", a_case(must=["d003"], k=1000))
    result = ask(folder, "suite")
    assert (result["results"][0]["system"], result["verdict"]) == ("base", "ok")
    assert Path(result["file"]).samefile(folder / "tests" / "suite.toml")


def test_a_document_with_the_querys_own_text_is_found(ask, base_live, tmp_path):
    ask(base_live, "add", "corpus", write_jsonl(tmp_path / "c.jsonl", [{"_id": "own", "text": TEXTS[0].upper()}]))
    file = write_suite(tmp_path / "suite.toml", a_case(must=["own"], k=1, severity="critical"))
    assert ask(base_live, "suite", "--file", file)["verdict"] == "ok"


@pytest.mark.exhaustive
def test_systems_are_compared_with_the_first(ask, nearer, trained, tmp_path):
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    before, after = rankings(trained, "live"), rankings(trained, model_id)
    text = next(each for each in TEXTS if before[each][0] != after[each][0])
    file = write_suite(
        tmp_path / "suite.toml",
        a_case("lost", query=text, must=before[text][:1], k=1, severity="critical"),
        a_case("won", query=text, must=after[text][:1], k=1, group="edge"),
        a_case("both", query=text, must=after[text][:1], k=80),
    )
    result = ask(trained, "suite", "live", model_id, "base", "--file", file)
    assert [each["system"] for each in result["results"]] == ["live", model_id, "base"]
    change = {"baseline": "live", "newly_failing": ["lost"], "newly_passing": ["won"], "candidate": model_id}
    assert result["changes"] == [change, {**change, "candidate": "base", "newly_failing": [], "newly_passing": []}]
    assert result["verdict"] == "ok"
    assert ask(trained, "suite", "live", model_id, "--file", file, code=3)["verdict"] == "faults"

    shown = nearer("suite", "live", model_id, "--file", file, "--dir", trained)
    assert shown.exit_code == 3
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    rank = after[text].index(before[text][0]) + 1
    assert lines == [
        f"{file}: cases that pass",
        f"live {model_id}",
        "common queries critical 1 of 1 0 of 1",
        "common queries major 1 of 1 1 of 1",
        "edge cases major 0 of 1 1 of 1",
        "all 2 of 3 2 of 3",
        "live fails:",
        f"won (major, edge cases): {text}",
        f"{after[text][0]!r} is at rank {before[text].index(after[text][0]) + 1}, not among the first 1",
        f"{model_id} fails:",
        f"lost (critical, common queries): {text}",
        f"{before[text][0]!r} is at rank {rank}, not among the first 1",
        f"{model_id} beside live: newly failing: lost; newly passing: won",
        "verdict: faults",
    ]


def test_what_cannot_be_run_is_reported(ask, base_live, tmp_path):
    assert "--file" in ask(base_live, "suite", code=2)["error"]["hint"]
    file = write_suite(
        tmp_path / "suite.toml", a_case("a", must=["d001", "gone"], must_not=["lost"]), a_case("b", severity="high")
    )
    error = ask(base_live, "suite", "--file", file, code=2)["error"]
    assert (error["code"], error["num_faults"]) == ("import_faults", 3)
    assert [(each["line"], each["reason"]) for each in error["faults"]] == [
        (1, "case 'a': unknown document 'gone'"),
        (1, "case 'a': unknown document 'lost'"),
        (7, "case 'b': \"severity\" is 'high'"),
    ]
    assert "3 faults found, nothing was run" in error["message"]
    good = write_suite(tmp_path / "good.toml", a_case())
    assert ask(base_live, "suite", "run:a.run", "--file", good, code=2)["error"]["code"] == "bad_input"
    assert ask(base_live, "suite", "nobody", "--file", good, code=2)["error"]["code"] == "not_found"


def test_it_is_no_look_at_a_test_split_and_imports_nothing(ask, base_live, tmp_path):
    before = ask(base_live, "check", code=None)["counts"]
    ask(base_live, "suite", "--file", write_suite(tmp_path / "suite.toml", a_case(k=80)))
    assert ask(base_live, "check", code=None)["counts"] == before
    assert ask(base_live, "evaluate", "--split", "test")["ledger"]["num_test_uses"] == 2


def test_it_is_a_function_too(base_live, tmp_path):
    workspace = Workspace.open(base_live)
    result = package.suite(workspace, ["base"], file=write_suite(tmp_path / "suite.toml", a_case(k=80)))
    assert result["verdict"] == "ok"
    assert workspace.results.last("suite", SuiteRun).result == result
    workspace.close()


def test_documents_that_go_meanwhile_are_a_conflict(base_live, tmp_path):
    workspace = Workspace.open(base_live)
    suite = open_suite(workspace, write_suite(tmp_path / "suite.toml", a_case(k=80)))
    remove(workspace, ["d002"])
    with pytest.raises(Conflict):
        run_suite(Corpora(workspace, Silent()), suite, open_system(workspace, "base"))
    workspace.close()


# The gate


@pytest.fixture
def gated(ask, trained):
    """``gated(severity, kind)``: the trained workspace whose suite has a case that live alone passes ("lost"), that the
    candidate alone passes ("won"), or neither ("never"); and what promoting the candidate says.
    """
    model_id = ask(trained, "status")["models"][-1]["model_id"]
    before, after = rankings(trained, "live"), rankings(trained, model_id)
    text = next(each for each in TEXTS if before[each][0] != after[each][0])
    others = [each for each in before[text] if each not in (before[text][0], after[text][0])]
    wanted = {"lost": before[text][0], "won": after[text][0], "never": others[0]}
    (trained / "nearer.toml").write_text((trained / "nearer.toml").read_text() + '\n[gate]\nsuite = "suite.toml"\n')

    def promote(severity, kind, *options, code=0):
        case = a_case(kind, query=text, must=[wanted[kind]], k=1, severity=severity)
        write_suite(trained / "suite.toml", case)
        return ask(trained, "promote", *options, code=code)

    return promote


@pytest.mark.parametrize(
    ("severity", "kind"),
    [("critical", "lost"), ("critical", "never"), ("major", "lost")],
)
def test_a_case_that_must_not_fail_refuses(ask, trained, gated, severity, kind):
    before = ask(trained, "status")["live"]
    refused = gated(severity, kind, code=3)
    (reason,) = refused["reasons"]
    assert reason.startswith(f"{severity.capitalize()} case '{kind}' {'newly ' if kind == 'lost' else ''}fails: 'd")
    assert refused["suite"]["results"][-1]["num_failed"] == 1
    assert ask(trained, "status")["live"] == before
    event = ask(trained, "history")["events"][-1]
    assert (event["action"], event["reasons"]) == ("refuse", [reason])


@pytest.mark.parametrize(
    ("severity", "kind", "note"),
    [
        ("critical", "won", None),
        ("major", "won", None),
        ("major", "never", "Cases of the suite that fail and do not refuse: 1 major; the baseline fails them too."),
        ("minor", "lost", "Minor case 'lost' newly fails"),
    ],
)
def test_a_case_that_may_fail_is_noted(trained, gated, severity, kind, note):
    promoted = gated(severity, kind)
    assert promoted["verdict"] == "promoted"
    found = [each for each in promoted["notes"] if "ase" in each]
    assert len(found) == (note is not None)
    assert not note or found[0].startswith(note)
    workspace = Workspace.open(trained)
    seen = workspace.registry.last_decision(release_id=workspace.registry.live().release_id).suite
    workspace.close()
    assert seen.to_dict() == promoted["suite"]
    assert [each.system for each in seen.results] == ["live", seen.results[1].model_id]


def test_a_promotion_says_how_many_cases_pass(nearer, gated, trained):
    gated("critical", "never", code=3)
    shown = nearer("promote", "--dir", trained).out.splitlines()
    assert shown[0] == "refused: live is as it was"
    assert shown[2] == f"  0 of 1 cases of {trained / 'suite.toml'} pass"
    assert shown[3].startswith("  because Critical case 'never' fails: 'd")


def test_a_refusal_can_be_overruled_with_a_reason(ask, gated, trained):
    forced = gated("critical", "never", "--force", "--reason", "the case is out of date")
    assert forced["verdict"] == "promoted"
    assert forced["reasons"][0].startswith("Critical case 'never' fails")
    assert ask(trained, "history")["events"][-1]["forced"] == "the case is out of date"


def test_critical_cases_refuse_where_live_cannot_be_compared_with_too(ask, gated, trained):
    assert gated("critical", "won")["verdict"] == "promoted"
    shutil.rmtree(trained / ".nearer" / "models")
    refused = ask(trained, "promote", "base", code=3)
    first, second = refused["reasons"]
    assert first.startswith("live cannot be compared with")
    assert second.startswith("Critical case 'won' fails: 'd")
    assert [each["system"] for each in refused["suite"]["results"]] == ["base"]


@pytest.mark.exhaustive
def test_a_faulty_suite_stops_a_promotion_before_anything_is_measured(ask, trained, gated):
    gated("major", "lost", code=3)
    looks = ask(trained, "evaluate", "--split", "test")["ledger"]["num_test_uses"]
    write_suite(trained / "suite.toml", a_case(must=["gone"]))
    error = ask(trained, "promote", "--force", "--reason", "anyhow", code=2)["error"]
    assert error["faults"][0]["reason"] == "case 'a': unknown document 'gone'"
    (trained / "suite.toml").unlink()
    assert "no such file" in ask(trained, "promote", code=2)["error"]["message"]
    assert ask(trained, "evaluate", "--split", "test")["ledger"]["num_test_uses"] == looks + 1
    assert ask(trained, "promote", "--set", "gate.suite=")["suite"] is None


def test_the_first_release_fails_no_critical_case_either(ask, new_workspace, beir):
    folder = new_workspace(gate={"suite": "suite.toml"})
    ask(folder, "add", "beir", beir)
    write_suite(folder / "suite.toml", a_case(must=rankings(folder, "base")[TEXTS[0]][-1:], severity="critical"))
    refused = ask(folder, "promote", "base", code=3)
    assert refused["reasons"] == ["Critical case 'a' fails: 'd" + refused["reasons"][0].partition(": 'd")[2]]
    assert ask(folder, "status")["live"] is None
    write_suite(folder / "suite.toml", a_case(must=rankings(folder, "base")[TEXTS[0]][-1:]))
    first = ask(folder, "promote", "base")
    assert first["reasons"] == ["the first release: measured, with nothing live to compare it with"]
    assert first["notes"] == [
        "Cases of the suite that fail and do not refuse: 1 major; there is nothing to compare with."
    ]


def test_without_a_suite_the_gate_asks_for_none(base_live):
    workspace = Workspace.open(base_live)
    assert workspace.registry.last_decision().suite is None
    assert workspace.results.last("suite", SuiteRun) is None
    workspace.close()


# The report, and a process that dies


@pytest.mark.exhaustive
def test_the_report_tells_the_last_run(ask, gated, trained):
    page = Path(ask(trained, "report")["report"])
    assert "The suite has not been run" in page.read_text()
    gated("critical", "lost", code=3)
    ask(trained, "report")
    text = " ".join(page.read_text().split())
    assert "<bdi>lost</bdi>" in text
    assert "0 of 1" in text
    assert "newly failing" in text


@pytest.mark.exhaustive
@pytest.mark.slow
def test_killed_once_its_result_is_kept(ask, trained, tmp_path):
    """The result is in the report, what is live stays, and both verbs that run the suite can be repeated."""
    file = write_suite(tmp_path / "suite.toml", a_case("kept", k=80))
    before = ask(trained, "status")["live"]
    for verb in (("suite", "--file", file), ("promote", "--set", f"gate.suite={file}")):
        assert run(*verb, "--dir", trained, die_at="registry.suite").was_killed
        assert "1 of 1" in Path(ask(trained, "report")["report"]).read_text()
        assert ask(trained, "status")["live"] == before
        assert ask(trained, *verb)["verdict"] in ("ok", "promoted")
