"""``nearer judge``: a model's grades, held against people; two orders, votes, faults, and what people correct."""

import json

import pytest
import sqlalchemy as sa

from chat_server import ChatServer, document_of, query_of, raw, says
from forked import die_apart_at
from killed_synthesis import judge_by
from nearer.encode.chat import ChatEndpoint
from nearer.flows.judge import JudgeOptions, judge
from nearer.printing.llm import model_judged
from nearer.store.tables import llm_answers
from nearer.store.workspace import Workspace


def by_shared_words(body):
    """Grades by how many words of the query the document has: what a fair model would say of the learnable set."""
    words = [each for each in query_of(body).split() if each in document_of(body).split()]
    own = len([each for each in words if len(each) > 4])
    return json.dumps({"reason": "it shares words", "grade": min(4, 2 * own)})


@pytest.fixture
def server():
    with ChatServer(by_shared_words) as server:
        yield server


def run(server, workspace, **options):
    chat = ChatEndpoint(url=server.url, model="m", key=None, max_retries=0)
    given = {"systems": ("bm25",), "depth": 3, "prices": (1.0, 2.0), **options}
    return judge(workspace, chat=chat, options=JudgeOptions(**given))


@pytest.fixture
def graded(base_live):
    """A workspace whose grades go up to 4, though its judgments are of 1."""
    with (base_live / "nearer.toml").open("a", encoding="utf-8") as recipe:
        recipe.write("\n[grades]\nmax_grade = 4\nrelevant_from = 1\npositive_from = 1\n")
    return base_live


@pytest.fixture
def workspace(graded):
    with Workspace.open(graded) as workspace:
        yield workspace


def test_it_judges_in_two_orders_beside_people(server, workspace):
    told = run(server, workspace)
    assert told.num_judged == told.num_pairs == len(server.bodies) / 2
    firsts = {body["messages"][1]["content"].startswith("<query") for body in server.bodies}
    assert firsts == {True, False}
    said = [j for j in workspace.collection.all_judgments() if j.source == "llm"]
    assert len(said) == told.num_judged
    assert {j.rater for j in said} == {f"{server.url} m"}
    assert told.calibration.num_pairs > 0
    assert told.calibration.order_agreement == 1.0
    assert sum(map(sum, told.calibration.confusion)) == told.calibration.num_pairs
    assert told.verdict in ("calibrated", "poor")
    counted = {j.source for j in workspace.collection.judgments("dev")}
    assert counted == {"import"}, "never mixed with people's"
    before = len(server.bodies)
    again = run(server, workspace)
    assert len(server.bodies) == before
    assert again.by_grade == told.by_grade


def test_votes_that_disagree_weigh_less_and_the_order_is_told(server, workspace):
    def by_order(body):
        return json.dumps({"grade": 4 if body["messages"][1]["content"].startswith("<query") else 1})

    server.answer = by_order
    told = run(server, workspace, votes=2, limit=5)
    assert len(server.bodies) == 4 * told.num_pairs
    assert told.calibration.order_agreement == 0.0
    said = [j for j in workspace.collection.all_judgments() if j.source == "llm"]
    assert {j.grade for j in said} <= {1, 3}
    assert {round(j.weight, 3) for j in said} in ({0.625}, {1.0}), "1 - (3 of 4 grades apart) / 2, or all as one"


@pytest.mark.exhaustive
def test_a_model_that_guesses_is_poor(ask, server, graded, monkeypatch):
    server.answer = lambda body: json.dumps({"grade": len(document_of(body)) % 2})
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    told = ask(graded, "judge", "--model", "m", "--system", "bm25", "--depth", 3, code=None)
    assert told["verdict"] in ("poor", "uncalibrated")


def test_faults_are_counted_and_the_rest_is_judged(server, workspace):
    bad = iter(
        [raw(b"{"), says("It is a fine document, I would say."), says('{"grade": 11}'), says("Sorry, I cannot.")] * 2
    )
    server.fault_of = lambda _: next(bad, None)
    told = run(server, workspace, parallel=1)
    assert sum(told.use.faults.values()) > 0
    assert told.num_judged > 0


def test_what_it_costs_is_said_before(ask, server, base_live, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    told = ask(base_live, "judge", "--model", "m", "--system", "bm25", "--dry-run", "--price", "1,2", "--votes", 2)
    assert server.bodies == []
    assert told["verdict"] == "estimated"
    assert told["use"]["num_asked"] == 4 * told["num_pairs"]
    assert told["use"]["cost_usd"] > 0
    assert "which model" in ask(base_live, "judge", code=2)["error"]["message"]
    assert ask(base_live, "judge", "--model", "m", "--votes", 0, code=2)["error"]["hint"]


@pytest.mark.parametrize("parallel", [1, 4])
def test_more_than_the_limit_is_never_spent_and_what_is_left_out_is_told(server, workspace, parallel):
    prices, all_of_it = (1e6, 1e6), run(server, workspace, prices=(1e6, 1e6), limit=30)
    whole, num_asked = all_of_it.use.cost_usd, all_of_it.use.num_asked
    with workspace.write("test") as connection:
        connection.execute(sa.delete(llm_answers))
    server.bodies.clear()
    told = run(server, workspace, prices=prices, limit=30, max_cost=whole / 2, parallel=parallel)
    assert 0 < told.use.cost_usd <= whole / 2
    assert told.use.num_asked == len(server.bodies) < num_asked
    assert told.use.num_left_out == num_asked - told.use.num_asked
    assert 0 < told.num_judged < all_of_it.num_judged
    assert told.use.cost_usd > 0.3 * whole, "most of it was of use"
    assert f"{told.use.num_left_out:,} left out" in model_judged(told)
    rest = run(server, workspace, prices=prices, limit=30, max_cost=whole)
    assert (rest.use.num_kept, rest.use.num_left_out) == (told.use.num_asked, 0), "nothing is paid twice"
    assert run(server, workspace, prices=prices, limit=30, max_cost=0.0).use.cost_usd == 0


def test_an_answer_that_nobody_counts_is_taken_to_cost_the_most(server, workspace):
    server.fault_of = lambda _: raw(b"{")
    told = run(server, workspace, prices=(1e6, 1e6), max_cost=3000.0, parallel=1)
    assert len(server.bodies) < 10
    assert told.use.num_left_out > 0


def test_a_limit_needs_a_price(ask, server, base_live, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    for verb in (["judge", "--model", "m", "--system", "bm25"], ["synthesize", "--model", "m"]):
        refused = ask(base_live, *verb, "--max-cost", 1, code=2)
        assert "--price" in refused["error"]["hint"]
        assert ask(base_live, *verb, "--max-cost=-1", "--price", "1,2", code=2)["error"]["hint"]
        told = ask(base_live, *verb, "--max-cost", 0.0001, "--price", "1,2", "--dry-run")
        assert "would be left out" in told["notes"][-1]
    assert server.bodies == []


@pytest.mark.exhaustive
def test_people_correct_the_model(server, workspace):
    told = run(server, workspace, depth=10)
    [found] = told.corrected
    assert found.system == "bm25"
    assert found.num_human == found.num_queries or found.corrected is not None
    assert found.model.low <= found.model.value <= found.model.high


@pytest.mark.slow
def test_killed_it_goes_on_without_paying_again(server, graded):
    die_apart_at("llm.answer:3", judge_by, graded, server.url)
    assert len(server.bodies) in (3, 4)
    die_apart_at("judge.commit", judge_by, graded, server.url)
    with Workspace.open(graded) as workspace:
        said = [j for j in workspace.collection.all_judgments() if j.source == "llm"]
    assert 2 * len(said) <= len(server.bodies) <= 2 * len(said) + 1, "one may have been on its way when it died"
