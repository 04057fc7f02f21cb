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
        ([["s", "q", "d", "1", 1], ["s", "q", "e", "5000", 1]], "row 2 has the position 5000"),
        ([["s", "q", "d", "1", 1], ["s", "q", "e", "1e30", 1]], r"row 2 has the position 1e\+30"),
        ([["s", "q", "d", "1", 1], ["", "q", "e", "2", 1]], "row 2 has no session"),
        ([["s", " ", "d", "1", 1]], "row 1 has no query"),
        ([["s", "q", "", "1", 1]], "row 1 has no doc"),
    ],
)
def test_what_is_no_click_log_is_refused(tmp_path, made, why):
    with pytest.raises(InputError, match=why):
        fit_clicks(write(tmp_path / "log.csv", made))


def test_a_mixed_file_is_read_once_somebody_says_what_one_means(tmp_path):
    log = write(tmp_path / "log.csv", [["s", "q", "d", "0", 1], ["t", "q", "d", "1", 1]])
    assert fit_clicks(log, model="ctr", first_rank=0).num_lists == 2


@pytest.mark.parametrize("name", [*NAMES, "user", "propensity"])
def test_a_column_that_holds_lists_is_named(tmp_path, name):
    row = {"session": "s", "query": "q", "doc": "d", "position": 1, "clicked": 1, name: ["x"]}
    (tmp_path / "log.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=f"the column {name} holds values of the type list"):
        fit_clicks(tmp_path / "log.jsonl", model="ctr")


def test_files_that_only_look_like_logs_are_refused(tmp_path):
    table = {"session": ["s"], "query": [b"\xff"], "doc": ["d"], "position": [1], "clicked": [1]}
    pyarrow.parquet.write_table(pa.table(table), tmp_path / "bytes.parquet")
    with pytest.raises(InputError, match="the column query is not UTF-8"):
        fit_clicks(tmp_path / "bytes.parquet", model="ctr")
    (tmp_path / "log.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"log\.csv\.gz"):
        fit_clicks(tmp_path / "log.csv.gz", model="ctr")


@pytest.mark.parametrize("propensity", ["0", "2", "-0.5"])
def test_propensities_are_chances(tmp_path, propensity):
    log = write(tmp_path / "log.csv", [["s", "q", "d", "1", 1, propensity]], (*NAMES, "propensity"))
    with pytest.raises(InputError, match=f"row 1 has the propensity {propensity}"):
        fit_clicks(log, model="ctr")


def shuffled(propensity, *, num_lists=6000, looks=(1.0, 0.6, 0.4, 0.3, 0.2)):
    """Lists in a drawn order, each of a query that comes once, with two documents in five that attract."""
    rng = np.random.default_rng(0)
    for number in range(num_lists):
        for rank, doc in enumerate(rng.permutation(5)):
            clicked = rng.random() < looks[rank] * (0.7 if doc < 2 else 0.1)
            yield [f"s{number}", f"query {number}", f"d{doc}", rank + 1, int(clicked), propensity]


def test_a_shuffled_log_tells_looks_though_no_query_comes_twice(tmp_path):
    names = (*NAMES, "propensity")
    found = fit_clicks(write(tmp_path / "log.csv", shuffled(0.2), names))
    assert (found.verdict, found.model) == ("fitted", "harvest")
    assert "drawn orders" in found.why
    assert np.abs(np.array(found.propensities) - (1.0, 0.6, 0.4, 0.3, 0.2)).max() < 0.05
    for (low, high), value in zip(found.intervals[1:], (0.6, 0.4, 0.3, 0.2), strict=True):
        assert low - 0.01 <= value <= high + 0.01
        assert high - low < 0.1
    assert not [note for note in found.notes if "propensity" in note]
    for propensity in (1.0, 0.5):
        same = fit_clicks(write(tmp_path / "other.csv", shuffled(propensity, num_lists=500), names))
        assert same.verdict == "not identified", "nobody says that these were drawn evenly"


@pytest.mark.parametrize("model", ["auto", "pbm", "harvest"])
def test_a_log_without_a_click_identifies_nothing(tmp_path, model):
    found = fit_clicks(write(tmp_path / "log.csv", [[*row[:4], 0] for row in rows()]), model=model)
    assert (found.verdict, found.propensities) == ("not identified", ())
    assert "no document was clicked" in found.why


def test_lists_of_nobody_are_not_those_of_one_user(tmp_path):
    by_list = fit_clicks(write(tmp_path / "log.csv", rows()))
    nobody = fit_clicks(write(tmp_path / "nobody.csv", [[*row, ""] for row in rows()], (*NAMES, "user")))
    assert nobody.intervals == by_list.intervals
    assert nobody.notes == ("400 lists name no user: each counts as a user of its own",)


def test_user_behavior_insights_are_the_same_log(tmp_path):
    made, lines = list(rows(num_lists=60)), []
    for number in range(60):
        shown = made[3 * number : 3 * number + 3]
        lines.append(
            {"query_id": f"id{number}", "user_query": "a query", "query_response_hit_ids": [row[2] for row in shown]}
        )
        lines += [
            {
                "action_name": action,
                "query_id": f"id{number}",
                "event_attributes": {"object": {"object_id": doc}, "position": {"ordinal": rank}},
            }
            for _, _, doc, rank, clicked in shown
            for action in ["hover"] + ["click"] * clicked
        ]
    lines.append({"action_name": "click", "query_id": "id0", "event_attributes": {"object": {"object_id": "other"}}})
    ubi = tmp_path / "log.jsonl"
    ubi.write_text("\n".join(map(json.dumps, lines)))
    wanted, found = fit_clicks(write(tmp_path / "log.csv", made), model="sdbn"), fit_clicks(ubi, model="sdbn")
    assert found.notes == ("1 clicks are on what their query did not show: they are left out",)
    assert found.to_dict() | {"notes": []} == wanted.to_dict()
    ubi.write_text(json.dumps(lines[1]))
    with pytest.raises(InputError, match="no query says what it showed"):
        fit_clicks(ubi)
    ubi.write_text(json.dumps(lines[0]) + "\nnoise")
    with pytest.raises(InputError, match=r"log\.jsonl:2: this line is not JSON"):
        fit_clicks(ubi)


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
