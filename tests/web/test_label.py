"""The pages of labelling: keys, cookies, hostile texts, and a keyboard-only run in a real browser."""

import re
import threading
from pathlib import Path

import httpx2
import pytest

from folders import write_jsonl
from nearer.flows.add import add
from nearer.flows.label import LabelOptions, start_labels
from nearer.store.keys import Keys
from nearer.store.label_records import RATED
from nearer.store.labels import Labels
from nearer.store.workspace import Workspace
from nearer.web.label.alone import label_app
from web.test_dashboard import HOSTILE, browser, new_page  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture
def rating(base_live, tmp_path):
    """A label set, its pages alone on a port, and a client: no model is loaded."""
    import socket

    import uvicorn

    with (base_live / "nearer.toml").open("a", encoding="utf-8") as recipe:
        recipe.write("\n[grades]\nmax_grade = 4\nrelevant_from = 1\npositive_from = 1\n")
    workspace = Workspace.open(base_live)
    queries = [{"_id": "hostile", "text": f"lantern {HOSTILE}", "metadata": {"need": f"what glows {HOSTILE}"}}]
    corpus = [{"_id": f"x{n}", "title": HOSTILE, "text": f"lantern {HOSTILE} {'word ' * 300}"} for n in range(6)]
    add(workspace, "corpus", write_jsonl(tmp_path / "corpus.jsonl", corpus))
    file = write_jsonl(tmp_path / "queries.jsonl", queries)
    start_labels(workspace, file, options=LabelOptions(systems=("bm25",), overlap=0))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(label_app(workspace), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with httpx2.Client(base_url=url, follow_redirects=True, timeout=30) as client:
        yield client, workspace, url
    server.should_exit = True
    thread.join()
    workspace.close()


def rated(workspace):
    labels = Labels(workspace.database)
    return [each for each in labels.ratings(labels.get("labels").set_id) if each.state == RATED]


def pair_of(page):
    return re.search(r'name="pair" value="([^"]+)"', page.text)[1]


def test_a_rater_says_who_it_is_and_judges(rating):
    client, workspace, _ = rating
    asked = client.get("/label")
    assert "Your name" in asked.text
    assert client.post("/label/login", data={"rater": " "}).status_code == 400
    page = client.post("/label/login", data={"rater": "Ann Ö"})
    assert "Ann Ö" in page.text
    assert re.search(r": 0 of \d+ ratings, 0 by you", page.text)
    assert "<script>document" not in page.text
    assert "<img" not in page.text
    assert not re.search(r"<script(?! src)|<style|<[^>&]*\s(on[a-z]+|style)=|javascript:", page.text), "nothing inline"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for reported in ("bm25", "rank", "score", 'hostile"', "x0"):
        assert reported not in re.sub(r"&lt;.*?&gt;|<[^>]*>", "", page.text), f"blind, but it shows {reported}"
    url, first = str(page.url).partition("?")[0], pair_of(page)
    assert pair_of(client.get(url)) == first, "a reload shows the same pair"
    after = client.post(url, data={"pair": first, "grade": "3", "reason": HOSTILE})
    assert "Kept." in after.text
    assert pair_of(after) != first
    mine = client.get(f"{url}/mine")
    assert "<script>document" not in mine.text
    again = client.get(f"{url}/pair/{first}")
    assert 'aria-pressed="true"' in again.text
    client.post(url, data={"pair": first, "grade": "1"})
    assert [(each.rater, each.grade) for each in rated(workspace)] == [("Ann Ö", 1)]
    [judgment] = [j for j in workspace.collection.all_judgments() if j.source == "human"]
    assert (judgment.rater, judgment.grade, judgment.query_id) == ("Ann Ö", 1, "hostile")
    assert "Skipped" in client.post(url, data={"pair": pair_of(after), "action": "skip"}).text
    assert "Taken back" in client.post(url, data={"pair": "", "action": "undo"}).text
    for wrong in ({"pair": first, "grade": "9"}, {"pair": first, "grade": "x"}, {"pair": first}):
        refused = client.post(url, data=wrong)
        assert refused.status_code == 400
    assert client.post(url, data={"pair": "pair-0", "grade": "1"}).status_code == 404
    assert client.get("/label/none").status_code == 404
    other = client.post(url, data={"pair": first, "grade": "4"}, headers={"origin": "http://evil.example"})
    assert other.status_code == 403
    assert [each.grade for each in rated(workspace)] == [1]


def test_keys_name_the_raters_and_only_admin_settles(rating):
    client, workspace, url = rating
    keys = Keys(workspace.database)
    tokens = {name: keys.add(name, scopes=scopes)[1] for name, scopes in
              (("ann", ["label"]), ("bob", ["label"]), ("eve", ["label", "admin"]), ("tom", ["read"]))}  # fmt: skip
    label_set = Labels(workspace.database).get("labels")
    client.cookies.clear()
    from web.conftest import eventually

    eventually(lambda: "Key" in client.get("/label").text, what="keys are asked for")
    assert client.post("/label/login", data={"key": "nearer_wrong"}).status_code == 401
    with httpx2.Client(base_url=url, headers={"authorization": f"Bearer {tokens['tom']}"}) as reader:
        assert reader.get(f"/label/{label_set.set_id}").status_code == 403
    ann = httpx2.Client(base_url=url, follow_redirects=True)
    page = ann.post("/label/login", data={"key": tokens["ann"]})
    assert "by you (ann)" in page.text
    assert ann.get(f"/label/{label_set.set_id}/settle").status_code == 403
    labels = Labels(workspace.database)
    pair = labels.pairs(label_set.set_id)[0]
    workspace.database  # noqa: B018
    with workspace.write("test") as connection:
        from nearer.store.tables import label_pairs

        connection.execute(label_pairs.update().values(wanted=2))
    ann.post(f"/label/{label_set.set_id}", data={"pair": pair.pair_id, "grade": "0"})
    ann.close()
    labels.rate(label_set.set_id, pair.pair_id, "bob", grade=4, reason="it glows")
    eve = httpx2.Client(base_url=url, follow_redirects=True, headers={"authorization": f"Bearer {tokens['eve']}"})
    queue = eve.get(f"/label/{label_set.set_id}/settle")
    assert "it glows" in queue.text
    assert "bob" not in queue.text
    done = eve.post(f"/label/{label_set.set_id}/settle", data={"pair": pair.pair_id, "grade": "3"})
    assert "Raters agree" in done.text
    eve.close()
    [counted] = [j for j in workspace.collection.judgments() if j.query_id == "hostile"]
    assert counted.grade == 3


def test_the_service_has_the_pages_too(live):
    start_labels(live.workspace, options=LabelOptions(systems=("bm25",), count=3))
    page = httpx2.get(f"{live.url}/label", follow_redirects=True)
    assert "Your name" in page.text
    assert httpx2.get(f"{live.url}/label/label.js").status_code == 200


def test_by_the_keyboard_alone(rating, browser):  # noqa: F811
    _, workspace, url = rating
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = new_page(browser, url, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto("/label")
    assert axe.run(page).violations_count == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    page.wait_for_selector("#progress")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0

    def press(key, said):
        page.keyboard.press(key)
        page.get_by_text(said).wait_for(timeout=20_000)
        page.wait_for_load_state()  # the keys work from then on

    press("3", "Kept.")
    assert [each.grade for each in rated(workspace)] == [3]
    press("u", "Taken back")
    assert rated(workspace) == []
    press("s", "Skipped")
    page.keyboard.press("?")
    assert page.evaluate("document.getElementById('guideline').open")
    assert page.get_by_text("Perfect: ").count() + page.get_by_text("4 Perfect").count() > 0
    page.keyboard.press("?")
    press("r", "no rating of yours")
    page.get_by_label("Reason").focus()
    page.keyboard.type("4 because")
    page.keyboard.press("Enter")
    assert rated(workspace) == [], "no key grades while a reason is written, Enter neither"
    page.keyboard.press("Escape")
    press("4", "1 by you")
    [only] = rated(workspace)
    assert (only.grade, only.reason) == (4, "4 because")
    page.goto(page.url.partition("?")[0] + "/mine")
    assert axe.run(page).violations_count == 0
    assert [each for each in page.said if "404" not in each] == []
    assert page.title() != "owned"


@pytest.mark.exhaustive
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "light"), (1280, "dark")], ids=str)
def test_no_page_of_labelling_has_a_fault_of_accessibility(rating, browser, width, scheme):  # noqa: F811
    _, workspace, url = rating
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    labels = Labels(workspace.database)
    set_id = labels.get("labels").set_id
    with workspace.write("test") as connection:
        from nearer.store.tables import label_pairs

        connection.execute(label_pairs.update().values(wanted=2))
    pair = labels.pairs(set_id)[0]
    labels.rate(set_id, pair.pair_id, "bob", grade=0)
    labels.rate(set_id, pair.pair_id, "cem", grade=4, reason=HOSTILE)
    page = new_page(browser, url, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto("/label/login")
    page.get_by_label("Your name").fill("ann")
    page.keyboard.press("Enter")
    page.wait_for_selector("#progress")
    for path in ("", "/mine", "/settle", f"/pair/{pair.pair_id}"):
        page.goto(f"/label/{set_id}{path}")
        found = axe.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_the_files_are_in_the_package():
    folder = Path(__import__("nearer.web.label", fromlist=["x"]).__file__).parent
    assert {"label.html", "label.js"} <= {each.name for each in folder.iterdir()}
