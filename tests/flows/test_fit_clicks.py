"""`nearer clicks fit`: logs as files, hostile ones too."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import nearer
from nearer.core.errors import InputError
from nearer.flows.fit_clicks import fit_clicks

NAMES = ("session", "query", "doc", "position", "clicked")


def rows(*, num_lists=400, first=1, swap=True, seed=0):
    """Lists of three documents, each a third of the time at each rank; users click on the first, mostly."""
    rng = np.random.default_rng(seed)
    for number in range(num_lists):
        turn = number % 3 if swap else 0
        documents = ["a", "b", "c"][turn:] + ["a", "b", "c"][:turn]
        for rank, doc in enumerate(documents):
            clicked = rng.random() < (0.8, 0.4, 0.2)[rank] * {"a": 0.8, "b": 0.5, "c": 0.3}[doc]
            yield [f"s{number}", "a query", doc, rank + first, int(clicked)]


def write(path, made, names=NAMES, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([names, *made])
    return path


def test_it_says_what_it_did(tmp_path, nearer):
    log = write(tmp_path / "log.csv", rows())
    outcome = nearer("clicks", "fit", log, "--json")
    found = outcome.json
    assert (found["verdict"], found["num_lists"], found["num_impressions"]) == ("fitted", 400, 1200)
    assert found["propensities"][0] == 1
    assert found["propensities"][1] == pytest.approx(0.5, abs=0.15)
    assert found["measured_on"] == "the log itself"
    said = nearer("clicks", "fit", log).out
    assert "rank 2: looked at" in said
    assert "perplexity" in said


def test_a_fixed_ranking_is_an_answer_of_no(tmp_path, nearer):
    log = write(tmp_path / "log.csv", rows(swap=False))
    outcome = nearer("clicks", "fit", log, "--json")
    assert (outcome.exit_code, outcome.json["verdict"]) == (3, "not identified")
    assert "another order" in outcome.json["hint"]
    assert outcome.json["propensities"] == []
    for baseline in ("ctr", "coec", "rank_ctr", "sdbn"):
        assert nearer("clicks", "fit", log, "--model", baseline).exit_code == 0
    assert nearer("clicks", "fit", log, "--model", "pbm").exit_code == 3


@pytest.mark.parametrize("model", ["pbm", "harvest", "sdbn", "coec", "ctr", "rank_ctr"])
def test_a_test_file_judges(tmp_path, model):
    log, test = write(tmp_path / "log.csv", rows()), write(tmp_path / "test.csv", rows(seed=1, num_lists=200))
    found = fit_clicks(log, test=test, model=model)
    assert (found.model, found.measured_on, found.num_test_lists) == (model, "test", 200)
    assert 1 < found.perplexity < 2
    assert len(found.perplexity_at) == 3
    assert found.perplexity == pytest.approx(np.mean(found.perplexity_at))
    assert found.log_likelihood < 0


def test_formats_and_first_ranks_say_the_same(tmp_path):
    wanted = fit_clicks(write(tmp_path / "log.csv", rows())).to_dict()
    made = list(rows())
    table = pa.table({name: [row[place] for row in made] for place, name in enumerate(NAMES)})
    pyarrow.parquet.write_table(table, tmp_path / "log.parquet")
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in made))
    write(tmp_path / "log.tsv", made, delimiter="\t")
    write(tmp_path / "zero.csv", rows(first=0))
    for name in ("log.parquet", "log.jsonl", "log.tsv", "zero.csv"):
        assert fit_clicks(tmp_path / name).to_dict() == wanted, name


def test_users_are_what_intervals_draw(tmp_path):
    made = [[*row, f"user{int(row[0][1:]) // 40}"] for row in rows()]
    by_user = fit_clicks(write(tmp_path / "users.csv", made, (*NAMES, "user")))
    by_list = fit_clicks(write(tmp_path / "log.csv", rows()))
    assert by_user.intervals != by_list.intervals
    assert any("no column user" in note for note in by_list.notes)
    assert not by_user.notes


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ([], "no rows"),
        ([["s", "q", "d", "top", 1]], "position 'top'"),
        ([["s", "q", "d", "1.5", 1]], "position 1.5"),
        ([["s", "q", "d", "-1", 1]], "position -1"),
        ([["s", "q", "d", "", 1]], "position"),
        ([["s", "q", "d", "1", "perhaps"]], "'perhaps' under clicked"),
        ([["s", "q", "d", "0", 1], ["t", "q", "d", "1", 1]], "nobody knows what 1 means"),
        ([["s", "q", "d", "1", 1], ["s", "q", "e", "1", 1]], "two documents at rank 0"),
        ([["s", "q", "d", "1", 1], ["s", "q", "e", "5000", 1]], "ranks from"),
    ],
)
def test_what_is_no_click_log_is_refused(tmp_path, made, why):
    with pytest.raises(InputError, match=why):
        fit_clicks(write(tmp_path / "log.csv", made))


def test_a_mixed_file_is_read_once_somebody_says_what_one_means(tmp_path):
    log = write(tmp_path / "log.csv", [["s", "q", "d", "0", 1], ["t", "q", "d", "1", 1]])
    assert fit_clicks(log, model="ctr", first_rank=0).num_lists == 2


def test_missing_columns_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no column clicked"):
        fit_clicks(write(tmp_path / "log.csv", [["s", "q", "d", "1"]], NAMES[:4]))
    with pytest.raises(InputError, match="not a file"):
        fit_clicks(tmp_path / "nothing.csv")
    (tmp_path / "noise.parquet").write_bytes(b"noise")
    with pytest.raises(InputError, match=r"noise\.parquet"):
        fit_clicks(tmp_path / "noise.parquet")
    with pytest.raises(InputError, match="no click model"):
        nearer.fit_clicks(write(tmp_path / "good.csv", rows()), model="magic")
