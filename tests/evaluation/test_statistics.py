"""What `nearer evaluate` says of how sure it is: many systems, what would show, what is missing, what nobody judged."""

import numpy as np
import pytest

from folders import synthetic_rows, write_beir
from nearer.evaluation.judged_split import read_judged_split
from nearer.measure.significance import holm
from nearer.store.workspace import Workspace


def write_run(path, rankings):
    lines = [
        f"{query_id} Q0 {doc_id} 0 {-rank} x\n"
        for query_id, found in rankings.items()
        for rank, doc_id in enumerate(found)
    ]
    path.write_text("".join(lines))
    return f"run:{path}"


def shuffled(rankings, share, seed):
    """The rankings, of which a share lost their first document."""
    rng = np.random.default_rng(seed)
    return {q: found[1:] if rng.random() < share else found for q, found in rankings.items()}


@pytest.fixture
def runs(base_live, tmp_path):
    """A perfect run of the test split, and three that are worse by different much."""
    workspace = Workspace.open(base_live)
    judged = read_judged_split(workspace, "test")
    workspace.close()
    others = list(judged.doc_ids)
    perfect = {
        q: [*judged.relevant[q], *[d for d in others if d not in judged.relevant[q]][:20]] for q in judged.relevant
    }
    made = [perfect, *(shuffled(perfect, share, seed) for seed, share in enumerate((0.02, 0.1, 0.5)))]
    return [write_run(tmp_path / f"{number}.run", each) for number, each in enumerate(made)]


def test_p_is_adjusted_over_the_candidates_of_the_call_in_each_measure(ask, nearer, base_live, runs):
    arguments = ("evaluate", *runs, "--split", "test")
    result = ask(base_live, *arguments)
    for metric in result["results"][0]["metrics"]:
        family = [each for each in result["comparisons"] if each["metric"] == metric]
        assert [each["candidate"] for each in family] == runs[1:]
        assert [each["p_adjusted"] for each in family] == list(holm([each["p_value"] for each in family]))
    worst = min(result["comparisons"], key=lambda each: each["p_value"])
    assert worst["p_adjusted"] == pytest.approx(3 * worst["p_value"])
    shown = nearer(*arguments, "--dir", base_live).out
    assert f"after Holm: over the 3 systems compared with {runs[0]}, each measure by itself" in shown
    assert shown.count(" after Holm); ") == len(result["comparisons"])

    alone = ask(base_live, "evaluate", *runs[:2], "--split", "test")["comparisons"]
    assert all(each["p_adjusted"] == each["p_value"] for each in alone)
    assert "after Holm" not in nearer("evaluate", *runs[:2], "--split", "test", "--dir", base_live).out


def test_what_would_show_and_what_is_missing_follow_from_the_differences(ask, nearer, base_live, runs):
    arguments = ("evaluate", runs[0], runs[3], "--split", "test", "--set", "evaluate.wanted_precision=0.03")
    result = ask(base_live, *arguments)
    found = result["comparisons"][0]
    spread = (found["high"] - found["low"]) / 2 / 1.96
    assert found["detectable"] == pytest.approx(2.80 * spread, rel=0.2)
    assert found["num_queries_needed"] == pytest.approx(80 * (1.96 * spread / 0.03) ** 2, rel=0.4)
    assert found["num_queries_more"] == found["num_queries_needed"] - 80 > 0
    perfect = result["results"][0]
    assert (perfect["metrics"]["nDCG@10"]["value"], perfect["num_queries_needed"]) == (1, None)
    assert result["results"][1]["num_queries_needed"] == found["num_queries_needed"], "the other never varies"
    shown = nearer(*arguments, "--dir", base_live).out
    assert f"a true difference of {found['detectable']:.3f} would show (power 0.8, alpha 0.05)" in shown
    assert (
        f"an interval of ±0.03 needs {found['num_queries_needed']:,} queries, {found['num_queries_more']:,} more"
        in shown
    )


def test_a_precision_that_there_is_needs_no_more(ask, nearer, base_live):
    settings = ("--split", "test", "--set", "evaluate.wanted_precision=0.5")
    [alone] = ask(base_live, "evaluate", *settings)["results"]
    assert 6 <= alone["num_queries_needed"] < 80
    assert alone["num_queries_more"] == 0
    assert "queries, which there are" in nearer("evaluate", *settings, "--dir", base_live).out


def test_whole_groups_vary_otherwise_than_queries_alone(ask, base_live):
    def needed(**settings):
        chosen = [part for key, value in settings.items() for part in ("--set", f"evaluate.{key}={value}")]
        return ask(base_live, "evaluate", "--split", "test", *chosen)["results"][0]["num_queries_needed"]

    assert needed(group_field="year") not in (None, needed())


def test_nothing_is_reported_where_nothing_varies(ask, nearer, base_live):
    result = ask(base_live, "evaluate", "base", "base")
    assert all(each["detectable"] is None and each["num_queries_more"] is None for each in result["comparisons"])
    shown = nearer("evaluate", "base", "base", "--dir", base_live).out
    assert "too few queries or groups, or none that differs" in shown


def test_a_candidate_with_fewer_judged_documents_gets_a_note(ask, nearer, new_workspace, tmp_path):
    rows = synthetic_rows(num_documents=40, queries_each=1)
    query_ids, doc_ids = ([row["_id"] for row in rows[kind]] for kind in ("queries", "corpus"))
    rows["judgments"] = [
        {"query_id": query_id, "doc_id": doc_id, "grade": int(doc_id == doc_ids[0])}
        for query_id in query_ids
        for doc_id in doc_ids[:10]
    ]
    folder = new_workspace()
    ask(folder, "add", "beir", write_beir(tmp_path / "set", rows, split_of=lambda _: "test"))
    pooled = write_run(tmp_path / "pooled.run", dict.fromkeys(query_ids, doc_ids[:10]))
    newer = write_run(tmp_path / "newer.run", {query_id: [*doc_ids[:4], *doc_ids[20:26]] for query_id in query_ids})
    result = ask(folder, "evaluate", pooled, newer, "--split", "test")
    assert [each["metrics"]["Judged@10"]["value"] for each in result["results"]] == [1.0, pytest.approx(0.4)]
    [note] = result["notes"]
    assert note.startswith(f"{newer} returns fewer judged documents than {pooled} (Judged@10 -0.600)")
    assert f"note: {note}" in nearer("evaluate", pooled, newer, "--split", "test", "--dir", folder).out
    assert ask(folder, "evaluate", newer, pooled, "--split", "test")["notes"] == []
    assert nearer("report", "--dir", folder).exit_code == 0
