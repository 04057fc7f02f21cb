"""The dashboard: its pages and their twins, its forms and keys, and in a real browser: no fault of accessibility."""

import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from folders import write_jsonl
from nearer.core.results.drift import Drift, DriftSignal, Period
from nearer.flows.add import add
from nearer.flows.experiment import start_experiment
from nearer.flows.index import index
from nearer.flows.promote import promote
from nearer.flows.shadow import start_shadow
from nearer.store.cycles import Cycles, StageEntry
from nearer.store.events.log import EventLog
from nearer.store.jobs import Jobs
from nearer.store.keys import Keys
from nearer.web.dashboard.render import LINKS
from online.synthetic_log import event, impression
from web.conftest import eventually

pytestmark = pytest.mark.slow
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"
PAGES = [path for path, _ in LINKS if path != "/dashboard/report"]


@pytest.fixture
def seen(live, tmp_path):
    """A service with a history, hostile documents and queries, a shadow, an experiment, traffic and a job."""
    rows = [{"_id": HOSTILE, "title": HOSTILE, "text": f"lantern {HOSTILE}"}, {"_id": "b", "text": "lantern"}]
    add(live.workspace, "corpus", write_jsonl(tmp_path / "hostile.jsonl", rows))
    index(live.workspace)
    promote(live.workspace, "bm25", force_reason=HOSTILE)
    live_id = live.workspace.registry.live_id()
    eventually(lambda: live.client.get("/readyz").json().get("release_id") == live_id, what="follows")
    start_shadow(live.workspace, "hybrid", share=1.0)
    eventually(lambda: live.service.shadow.served, what="the candidate is open")
    experiment_of_hostile_words(live, tmp_path)
    turn_of_hostile_words(live)
    for query in (f"lantern {HOSTILE}", "qqqqzzzz", "qqqqzzzz", "harbour"):
        live.post("/v1/search", query=query)
    job = Jobs(live.workspace).add("evaluate", {"systems": [HOSTILE]})
    Jobs(live.workspace).end(
        job.job_id, state="failed", result={"error": {"code": "x", "message": HOSTILE, "hint": ""}}
    )
    eventually(lambda: live.client.get("/dashboard/shadow.json").json()["report"]["agreement"], what="compared")
    return live


def experiment_of_hostile_words(live, tmp_path):
    words = json.dumps(HOSTILE)
    plan = tmp_path / "plan.toml"
    plan.write_text(f'name = {words}\nhypothesis = {words}\nkind = "aa"\nsequential = true\n')
    since = datetime.fromisoformat(start_experiment(live.workspace, plan).experiment.started_at)
    log = EventLog(live.workspace.events, locks=live.workspace.locks)
    for user in range(120):
        arm = ("control", "treatment")[user % 2]
        log.add([impression(f"q{user}", user=f"u{user}", arm=arm, at=since, took_ms=float(user))])
        log.add([event(f"q{user}", at=since)] if user % 3 else [])
    log.close()


def turn_of_hostile_words(live):
    turns = Cycles(live.workspace.database)
    turn = turns.begin({"num_searches": 1}, live_release_id=None)
    stage = {"stage": "judge", "input_hash": "i", "state": "done", "result": {}, "at": "2026-11-30", "took_s": 1.0}
    turns.keep(turn.cycle_id, StageEntry(summary=HOSTILE, **stage))
    measured = [{"value": value, "low": value - 0.1, "high": value + 0.1} for value in (0.5, 0.75)]
    gate = {**stage, "stage": "gate", "result": {"metric": "nDCG@10", "measured": measured}}
    turns.keep(turn.cycle_id, StageEntry(summary="refused", **gate))
    turns.end(turn.cycle_id, verdict="refused", reasons=(HOSTILE,))
    period = Period(since="a", until="b", num_searches=1, num_people=1, releases=())
    signal = {"name": "queries", "meaning": HOSTILE, "state": "drift", "p_value": 0.001, "false_alarm_rate": 0.01}
    signal |= dict.fromkeys(("size", "newest", "before", "effect"))
    found = Drift(
        verdict="drift", signals=(DriftSignal(**signal),), against="before", metric="click_through", period=period,
        before=period, days=(), new_queries=(HOSTILE,), encoder_id="e", notes=(),
    )  # fmt: skip
    live.workspace.results.keep("drift", found)


def test_the_page_of_turns(seen):
    found = seen.client.get("/dashboard/turns.json").json()
    assert [each["verdict"] for each in found["cycles"]] == ["refused"]
    assert HOSTILE in [each["summary"] for each in found["cycles"][0]["stages"]]
    assert found["lineage"][0]["model_id"] == seen.workspace.registry.live().model_id
    page = seen.client.get("/dashboard/turns").text
    assert "Turn 1: refused" in page
    assert 'aria-label="turn 1: 0.500, then 0.750"' in page, "what the gate measured is drawn"
    assert "Drift" in page


def test_every_page_has_a_twin_and_escapes_what_came_from_data(seen):
    [job] = Jobs(seen.workspace).all()
    query = {"query": f"lantern {HOSTILE}", "left": "live", "right": "live, vectors alone"}
    for path in [*PAGES, "/dashboard/rollback", f"/dashboard/jobs/{job.job_id}"]:
        page = seen.client.get(path, params=query if path.endswith("compare") else {})
        assert page.status_code == 200, page.text
        assert "<script>document" not in page.text
        assert "<img" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?! src)|<style|<[^>&]*\s(on[a-z]+|style)=|javascript:", page.text), (
            "nothing inline"
        )
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page.text), "no other server"
        [twin] = re.findall(r'href="([^"]+\.json[^"]*)"', page.text)
        assert seen.client.get(twin.replace("&amp;", "&")).json()
    assert "<script>document" not in seen.client.get("/dashboard/report").text


def test_the_page_of_an_experiment(seen):
    reported = seen.client.get("/dashboard/experiments.json").json()
    assert reported["report"]["num_units"] == {"control": 60, "treatment": 60}
    page = seen.client.get("/dashboard/experiments").text
    assert reported["report"]["experiment"]["plan_hash"] in page
    for said in ("click_through", "latency_p95", "as planned", "no experiment has both yet", 'aria-label="day 1"'):
        assert said in page
    assert seen.client.get("/dashboard/experiments?experiment=none").status_code == 404


def test_what_the_pages_say(seen):
    num_searches = 4 + 120  # here, and by another process
    reported = eventually(
        lambda: (reported := seen.client.get("/dashboard.json").json())["num_searches"] == num_searches and reported,
        what="all",
    )
    assert reported["live"]["release_id"] == reported["served"] == seen.workspace.registry.live_id()
    moves = [each for each in seen.workspace.registry.history() if each.action != "arm"]
    assert reported["since"] == moves[-1].at
    assert reported["forced"] in (HOSTILE, None), "as the gate decided"
    assert reported["reasons"]
    assert (reported["shadow"], reported["index_lag"]) == ("hybrid", 0)
    traffic = seen.client.get("/dashboard/traffic.json").json()
    assert traffic["zero_results"][0] == ["qqqqzzzz", 2]
    assert traffic["by_arm"] == {"live": 4, "control": 60, "treatment": 60}
    assert traffic["latency_ms"]["p95"] >= traffic["latency_ms"]["p50"] > 0
    asked = {"query": "lantern", "left": "live", "right": "shadow"}
    page = seen.client.get("/dashboard/compare.json", params=asked).json()
    left, right = page["sides"]
    ids = [each["doc_id"] for each in right["hits"]]
    for hit in left["hits"]:
        assert hit["other_rank"] == (ids.index(hit["doc_id"]) + 1 if hit["doc_id"] in ids else None)
    assert left["release_id"] == seen.workspace.registry.live_id()
    assert right["release_id"].startswith("shadow-")
    for other in ("previous", "live, BM25 alone", "live, vectors alone"):
        page = seen.client.get("/dashboard/compare.json", params={**asked, "right": other}).json()
        assert page["sides"][1]["hits"], other
    assert "is open" in seen.client.get("/dashboard/compare.json", params={**asked, "right": "none"}).json()["fault"]
    assert seen.client.get("/dashboard/jobs/job-0").status_code == 404
    assert "no job" in seen.client.get("/dashboard/jobs/job-0").text


@pytest.mark.exhaustive
def test_queries_that_nobody_clicked_on_are_reported_once_events_come(live):
    answers = [live.post("/v1/search", query=query) for query in ("harbour", "lantern", "lantern")]
    reported = lambda: live.client.get("/dashboard/traffic.json").json()  # noqa: E731
    assert eventually(lambda: reported()["num_searches"] == 3 and reported(), what="written")["unclicked"] == []
    clicked = {"query_id": answers[0]["query_id"], "object_id": answers[0]["results"][0]["doc_id"]}
    live.post("/v1/events", action_name="click", **clicked)
    assert live.client.get("/dashboard/traffic.json").json()["unclicked"] == [["lantern", 2]]
    assert "lantern" in live.client.get("/dashboard/traffic").text


@pytest.mark.exhaustive
def test_a_rollback_of_what_is_not_live_any_more_is_refused(seen):
    live_id = seen.workspace.registry.live_id()
    refused = seen.client.post("/dashboard/rollback", data={"live": "release-0"})
    assert refused.status_code == 409
    assert seen.workspace.registry.live_id() == live_id
    other = seen.client.post("/dashboard/rollback", data={"live": live_id}, headers={"origin": "http://evil.example"})
    assert other.status_code == 403
    assert seen.workspace.registry.live_id() == live_id


@pytest.mark.exhaustive
def test_jobs_are_started_from_the_page(live):
    reported = live.client.post("/dashboard/jobs", data={"verb": "evaluate", "system": "base bm25"})
    assert reported.status_code == 303
    page = reported.headers["location"]
    done = eventually(
        lambda: (reported := live.client.get(f"{page}.json").json())["job"]["state"] in ("done", "failed") and reported,
        what="done",
        patience_s=180,
    )
    assert done["job"]["state"] == "done", done
    assert [each["system"] for each in done["job"]["result"]["results"]] == ["base", "bm25"]
    assert dict(done["facts"])["split"] == "dev"
    for data in ({"verb": "prune"}, {}, {"verb": "<b>"}):
        refused = live.client.post("/dashboard/jobs", data=data)
        assert refused.status_code == 400
        assert "<b>" not in refused.text.replace("<b><bdi>", "")


def test_keys_open_it_by_a_cookie(live):
    keys = Keys(live.workspace.database)
    _, reader = keys.add("reader", scopes=["read"])
    _, admin = keys.add("admin", scopes=["read", "admin"])
    eventually(lambda: live.client.get("/v1/models").status_code == 401, what="keys are asked for")
    with httpx2.Client(base_url=live.url, follow_redirects=False) as client:
        asked = client.get("/dashboard/history")
        assert (asked.status_code, asked.headers["location"]) == (303, "/dashboard/login")
        assert client.get("/dashboard/history.json").status_code == 401
        assert client.get("/dashboard/style.css").status_code == 200
        assert client.post("/dashboard/login", data={"key": "nearer_wrong"}).status_code == 401
        reported = client.post("/dashboard/login", data={"key": reader})
        cookie = reported.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/dashboard"))
        assert client.get("/dashboard/history").status_code == 200
        assert client.post("/dashboard/jobs", data={"verb": "evaluate"}).status_code == 403
        assert client.get("/v1/models", headers={"cookie": cookie.split(";")[0]}).status_code == 401, "for pages alone"
        client.post("/dashboard/login", data={"key": admin})
        assert client.post("/dashboard/shadow/stop").status_code == 404


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def new_page(browser, url, **more):
    """A page whose console must stay silent, and which asks no other server."""
    context = browser.new_context(base_url=url, **more)
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: request.url.startswith((url, "data:")) or page.said.append(request.url))
    return page


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def test_no_page_has_a_fault_of_accessibility(seen, browser, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    [job] = Jobs(seen.workspace).all()
    compare = "/dashboard/compare?query=lantern&left=live&right=shadow"
    others = [
        "/dashboard/rollback",
        f"/dashboard/jobs/{job.job_id}",
        compare,
        "/dashboard/login",
        "/dashboard/jobs/none",
    ]
    page = new_page(browser, seen.url, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in [*PAGES, "/dashboard/report", *others]:
        page.goto(path)
        found = axe.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is wider than the screen by {wide}"
        headings = page.locator(".scroll th[scope=col]").all()
        assert all(each.bounding_box()["height"] < 50 for each in headings), f"{path}: a heading is broken into letters"
        assert page.title() != "owned"
    assert [each for each in page.said if "404" not in each] == []


def test_the_rollback_button_asks_first_and_moves_the_pointer(seen, browser):
    before, back = seen.workspace.registry.live_id(), seen.workspace.registry.previous().release_id
    page = new_page(browser, seen.url)
    page.goto("/dashboard/history")
    page.get_by_role("button", name=f"Roll back to {back}").click()
    assert page.get_by_role("heading", name="Roll back?").is_visible()
    assert seen.workspace.registry.live_id() == before, "it asks first"
    page.get_by_role("link", name="Leave it as it is").click()
    assert seen.workspace.registry.live_id() == before
    page.get_by_role("button", name=f"Roll back to {back}").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.wait_for_url("**/dashboard/history")
    assert seen.workspace.registry.live_id() == back
    assert "rollback" in page.inner_text("table")
    eventually(lambda: seen.post("/v1/search", query="lantern")["release_id"] == back, what="served")
    page.goto("/dashboard")
    assert back in page.inner_text("main")


def test_the_keyboard_is_enough(seen, browser):
    page = new_page(browser, seen.url)
    page.goto("/dashboard/compare")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.get_by_label("Query").focus()
    page.keyboard.type("lantern")
    page.keyboard.press("Enter")
    page.wait_for_url("**query=lantern**")
    assert page.get_by_text("only here").count() + page.get_by_text("rank").count() > 0


@pytest.mark.exhaustive
def test_a_page_keeps_itself_up_to_date(live, browser):
    page = new_page(browser, live.url)
    page.goto("/dashboard/traffic")
    assert "The newest 0 searches" in page.inner_text("main")
    page.evaluate("document.querySelector('[data-refresh]').dataset.refresh = '0.1'")
    live.post("/v1/search", query="qqqqzzzz", mode="lexical")
    page.get_by_text("qqqqzzzz").wait_for(timeout=20_000)
    assert page.said == []


def test_the_assets_are_in_the_package():
    folder = Path(__import__("nearer.web.dashboard", fromlist=["x"]).__file__).parent
    assert {"style.css", "page.js", "base.html"} <= set(os.listdir(folder))
