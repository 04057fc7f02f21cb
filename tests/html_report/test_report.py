import re
from dataclasses import replace
from html.parser import HTMLParser
from math import nan

import pytest

from nearer.core.recipe import Recipe
from nearer.core.results.measuring import Evaluation, Interval, SuiteRun
from nearer.core.results.releases import HistoryEvent
from nearer.core.results.shadow import ShadowAgreement, ShadowHit, ShadowQuery, ShadowReport, ShadowSide, Spread
from nearer.core.results.training import TrainingRecord
from nearer.flows.report import report
from nearer.html_report import charts
from nearer.html_report.data import ReportData, choose_evaluation, measured_apart
from nearer.html_report.formats import excerpt
from nearer.html_report.view import render
from nearer.store.registered import Decision, Model, Release, Training
from nearer.store.results import EvaluationEntry, Kept
from nearer.store.workspace import Workspace

EXCLUDED = ("num_documents", "num_queries", "num_named", "num_judged", "num_same_id", "num_unknown")
METRICS = {
    "nDCG@10": (0.5412, 0.6123),
    "Recall@1": (0.4021, 0.4713),
    "Recall@10": (0.6904, 0.7688),
    "Recall@50": (0.8611, 0.8597),
    "Precision@10": (0.0717, 0.0801),
    "MRR@10": (0.4957, 0.5661),
    "MAP": (0.5026, 0.5703),
}
MODULES = (
    "email",
    "asyncio",
    "tkinter",
    "unittest",
    "json",
    "http",
    "os",
    "logging",
    "xml",
    "ctypes",
    "urllib",
    "pathlib",
)
LIVE, CANDIDATE = "model-31be07c9d2aa", "model-9f2c41d07be3"
SOURCE = """def quote(string, safe='/', encoding=None, errors=None):
    if isinstance(string, str):
        if not string:
            return string
        if encoding is None:
            encoding = 'utf-8'
        if errors is None:
            errors = 'strict'
        string = string.encode(encoding, errors)
    else:
        if encoding is not None:
            raise TypeError("quote() doesn't support 'encoding' for bytes")
        if errors is not None:
            raise TypeError("quote() doesn't support 'errors' for bytes")
    return quote_from_bytes(string, safe)"""
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]> --> </pre></style></title>",
    "abc\u202edesrever\u2066",
    "x" * 5000,
    "",
    "\x00\x1b[31m",
    "{{ 7 * 7 }}{% raw %}",
]


def interval(value, width=0.02):
    return {"value": value, "low": max(0.0, value - width), "high": min(1.0, value + width)}


def result(side, system, model_id):
    slices = {}
    for row in range(40):
        number = max(3, int(240 / (row + 1)))
        name = f"module={MODULES[row % len(MODULES)]}{row // len(MODULES) or ''}"
        value = 0.5 + 0.25 * ((row * 7 % 11) / 11 - 0.4) + side * 0.12 * ((row * 5 % 7) / 7 - 0.2)
        slices[name] = {
            "num_queries": number,
            "num_groups": None,
            "metrics": {"nDCG@10": interval(value, 0.5 / number**0.5)},
        }
    return {
        "system": system,
        "model_id": model_id,
        "encoder_id": f"encoder-{model_id[6:]}0c55",
        "space_id": f"encoder-{model_id[6:]}0c55",
        "metrics": {name: interval(values[side]) for name, values in METRICS.items()},
        "slices": slices,
        "num_truncated": 214,
        "num_passages": 6842,
        "run": None,
        "num_queries_needed": None,
        "num_queries_more": None,
        "by_query": {},
    }


def comparison(name, values):
    difference = values[1] - values[0]
    return {
        "baseline": "live",
        "candidate": CANDIDATE,
        "metric": name,
        "difference": difference,
        "low": difference - 0.019,
        "high": difference + 0.0185,
        "p_value": 0.0002 if abs(difference) > 0.02 else 0.41,
        "p_adjusted": 0.0002 if abs(difference) > 0.02 else 0.41,
        "detectable": None,
        "num_queries_needed": None,
        "num_queries_more": None,
        "num_wins": 412,
        "num_losses": 210,
        "num_ties": 398,
    }


def top(*ids, relevant=None):
    return [
        {"doc_id": doc_id, "text": SOURCE * (rank + 1), "relevant": doc_id == relevant}
        for rank, doc_id in enumerate(ids)
    ]


def example(kind, query, before, after):
    best, other = ("urllib.parse.quote", "email.quoprimime.body_encode")
    found, missed = top(best, other, "cgi.parse", relevant=best), top(other, "shlex.quote", "html.escape")
    return {
        "kind": kind,
        "candidate": CANDIDATE,
        "query_id": "q1",
        "query": query,
        "metric": "nDCG@10",
        "baseline_value": before,
        "candidate_value": after,
        "relevant": [{"doc_id": best, "text": SOURCE}, {"doc_id": "urllib.parse.quote_plus", "text": SOURCE}],
        "baseline_top": missed if kind == "win" else found,
        "candidate_top": found if kind == "win" else missed,
        "why": None,
    }


def evaluation():
    return {
        "split": "test",
        "num_queries": 1020,
        "num_with_relevant": 1020,
        "num_without_gain": 0,
        "num_unjudged": 0,
        "relevant_from": 1,
        "excluded": dict.fromkeys(EXCLUDED, 0) | {"rule": "identical_text"},
        "num_groups": 63,
        "settings": {},
        "notes": [],
        "results": [result(0, "live", LIVE), result(1, CANDIDATE, CANDIDATE)],
        "comparisons": [comparison(name, values) for name, values in METRICS.items()],
        "examples": [
            example("win", "quote('abc def') -> 'abc%20def'.", 0.0, 1.0),
            example("win", "Return a list of all the names in the archive.", 0.0, 0.63),
            example("win", "Wait until the future is done and give its result.", 0.29, 1.0),
            example("loss", "Encode a header line as quoted printable.", 1.0, 0.39),
            example("loss", "Split a shell command into words.", 0.63, 0.0),
        ],
        "ledger": {"split": "test", "num_test_uses": 2},
    }


def measured(**changes):
    """The evaluation as a record, with other values."""
    return Evaluation.read({**evaluation(), **changes})


def training():
    dev = [[0.5390, 0.5712, 0.5803, 0.5921, 0.5904], [0.5921, 0.6010, 0.6122, 0.6087]]
    losses = [[2.1 * 0.985**step + 0.35 + 0.08 * (step * 13 % 7) / 7 for step in range(n)] for n in (88, 70)]
    mining = {
        "num_examples": 2810,
        "num_candidates": 30120,
        "num_known_or_own": 2744,
        "num_near_duplicates": 311,
        "num_inside_margin": 4890,
        "margin": 0.0312,
        "share_with_enough": 0.962,
        "num_hidden_positives": 412,
        "share_hidden_rejected": 0.87,
        "num_filled_at_random": 107,
        "sources": [
            {"source": "dense", "num_proposed": 28844, "num_drawn": 1903},
            {"source": "bm25", "num_proposed": 25110, "num_drawn": 1640},
        ],
        "false_negatives": [
            {"method": "hidden positives", "value": 0.031, "low": 0.012, "high": 0.055, "num_queries": 212},
        ],
        "samples": [
            {
                "query": "quote a string",
                "positive": SOURCE,
                "negative": f"a false negative {number}",
                "positive_score": 0.712,
                "negative_score": 0.7181 - number / 100,
                "sources": ["dense", "bm25"],
            }
            for number in range(2)
        ],
    }
    return {
        "recipe": Recipe().model_dump(mode="json"),
        "data": None,
        "duration_s": 611.4,
        "passes": [
            {
                "number": number + 1,
                "fit": {
                    "num_examples": 2810,
                    "num_steps": 22 * (len(dev[number]) - 1),
                    "best_step": (66, 44)[number],
                    "stopped_early": bool(number),
                    "dev": [{"step": 22 * at, "value": value} for at, value in enumerate(dev[number])],
                    "losses": losses[number],
                },
                "mining": mining if number else None,
            }
            for number in range(2)
        ],
    }


def suite():
    """A run of the suite: of three cases one newly fails and one newly passes."""

    def of(system, failed):
        row = {"name": failed, "query": f"about {failed}", "k": 10, "severity": "critical", "group": "edge"}
        row |= {"missing": [{"doc_id": "d1", "rank": 12}], "forbidden": [], "why": f"{failed} is at rank 12"}
        counts = {"common": {"minor": {"num_cases": 1, "num_failed": 0}}}
        counts["edge"] = {"critical": {"num_cases": 2, "num_failed": 1}}
        return {
            "system": system,
            "model_id": LIVE,
            "encoder_id": "e",
            "num_failed": 1,
            "counts": counts,
            "failed": [row],
        }

    change = {"baseline": "live", "candidate": CANDIDATE, "newly_failing": ["refund"], "newly_passing": ["invoice"]}
    return {
        "file": "suite.toml",
        "num_cases": 3,
        "results": [of("live", "invoice"), of(CANDIDATE, "refund")],
        "changes": [change],
        "verdict": "faults",
    }


def event(at, action, release_id, model_id, *, reasons=(), forced=None):
    previous = None if action == "promote" and at < "2026-02" else "release-0a41b2c3d4e5"
    return HistoryEvent(
        at=at,
        action=action,
        release_id=release_id,
        previous_release_id=previous,
        model_id=model_id,
        reasons=tuple(reasons),
        notes=(),
        forced=forced,
    )


def a_model(model_id, **values):
    encoder_id = f"encoder-{model_id[6:]}0c55"
    return Model(model_id=model_id, encoder_id=encoder_id, source="x", encoder={"space_id": "s1"}, **values)


def with_training(data, content):
    """The data with another record of the training that is shown."""
    return replace(data, trained=(data.models[CANDIDATE], TrainingRecord.read(content)))


def kept_suite(content):
    return Kept(at="2026-03-04T09:40:00+00:00", result=SuiteRun.read(content))


def full_data():
    models = {
        LIVE: a_model(LIVE, created_at="2026-01-02T08:00:00+00:00"),
        CANDIDATE: a_model(CANDIDATE, parent_model_id=LIVE, created_at="2026-03-02T08:40:00+00:00"),
    }
    return ReportData(
        name="stdlib",
        generated_at="2026-03-04T10:00:00+00:00",
        version="0.1.0",
        recipe=Recipe(name="stdlib"),
        events=[
            event("2026-01-03T09:12:44+00:00", "promote", "release-0a41b2c3d4e5", LIVE, reasons=["the first release"]),
            event(
                "2026-02-11T16:01:09+00:00",
                "refuse",
                None,
                "model-77aa01bc5512",
                reasons=[
                    "The gain in nDCG@10 is not proven: +0.0049 [-0.0061, +0.0160], "
                    "and the lower end must exceed +0.0000.",
                    "Slice module=tkinter is worse in nDCG@10: -0.0510 [-0.0904, -0.0102], 88 queries, "
                    "p = 0.0210 after Holm, at most 0.05.",
                ],
            ),
            event("2026-03-04T09:58:31+00:00", "promote", "release-5f6e7d8c9b0a", CANDIDATE, reasons=["it gains"]),
        ],
        notes=[
            "Slice module=os is inconclusive in nDCG@10: -0.0110 [-0.0440, +0.0209], 61 queries, p = 1.0000 "
            "after Holm, above 0.05.",
            "36 of 40 slices are too small to judge (fewer than 50 queries, or a single group); 9 of them fell.",
        ],
        live=Release(release_id="release-5f6e7d8c9b0a", model_id=CANDIDATE, space_id="s1"),
        evaluation=measured(),
        origin="the comparison that release-5f6e7d8c9b0a was promoted on",
        models=models,
        trained=(models[CANDIDATE], TrainingRecord.read(training())),
        counts={"documents": 5213, "queries": 5480, "judgments": 5622, "pairs": 0},
        splits={"dev": 548, "test": 1020, "train": 3912},
        suite=kept_suite(suite()),
    )


class Page(HTMLParser):
    """The tags, attributes and visible text of a page, and whether its tags close as they opened."""

    VOID = frozenset({"meta", "br", "img", "input", "link", "hr", "wbr"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture
def workspace(tmp_path):
    opened = Workspace.init(tmp_path / "shop")
    yield opened
    opened.close()


def test_the_top_of_the_page_holds_the_decision_and_the_main_metric_with_all_that_belongs_to_it():
    top_of_page = Page(render(full_data())).words.partition("What was measured")[0]
    for wanted in (
        f"{CANDIDATE} is live.",
        "nDCG@10",
        "+0.071 [+0.052, +0.090] ▲ gain",
        "0.541 [0.521, 0.561]",
        "0.612 [0.592, 0.632]",
        "p = 0.0002",
        "412 won · 398 tied · 210 lost",
        "1,020 queries of the split test in 63 groups",
        "this was use 2 of that test set",
        "the gain is proven (p = 0.0002, use 2 of this test set)",
    ):
        assert wanted in top_of_page


def test_every_section_is_filled_from_the_data():
    words = Page(render(full_data())).words
    assert "15 smaller slices" in words
    assert "too small to judge" in words
    assert "Before pass 2 30,120 hard negatives were proposed for 2,810 pairs" in words
    assert "✓ relevant" in words
    assert "Slice module=tkinter is worse" in words
    assert "36 of 40 slices are too small" in words
    assert "6,842, 214 of them truncated" in words
    assert "learning_rate = 6e-05" in words


def test_mining_is_reported_with_its_margin_sources_estimates_and_samples():
    words = Page(render(full_data())).words
    assert "4,890 scored too close to the positive (margin 0.0312)" in words
    assert "The margin rejects 87% of the 412 known positives that would have been candidates" in words
    assert "the model proposed 28,844 and 1,903 of those drawn; BM25 proposed 25,110 and 1,640 of those drawn" in words
    assert "by hidden positives: at most 3.1% [1.2%, 5.5%] of the drawn negatives" in words
    assert "2 drawn negatives of pass 2 to look at" in words
    assert "quote a string 0.712 and 0.718" in words
    assert "Negative, 0.708, from the model, BM25 a false negative 1" in words
    assert words.index("a false negative 0") < words.index("a false negative 1")


@pytest.mark.parametrize(
    ("estimates", "reported"),
    [
        ([], "is not known: too few queries have two known positives"),
        (
            [{"method": "hidden positives", "value": 1.0, "low": 0.8, "high": 1.0, "num_queries": 9}],
            "known positives, hidden in turn in 9 queries, say nothing of how many there are",
        ),
    ],
)
def test_where_false_negatives_cannot_be_estimated_it_says_so(estimates, reported):
    data, trained = full_data(), training()
    trained["passes"][1]["mining"]["false_negatives"] = estimates
    words = Page(render(with_training(data, trained))).words
    assert reported in words
    assert "of the drawn negatives. Known positives were hidden" not in words


def test_mining_without_a_margin_samples_and_estimates_says_so():
    trained = training()
    trained["passes"][1]["mining"] |= {"margin": -1.0, "samples": [], "false_negatives": [], "sources": []}
    words = Page(render(with_training(full_data(), trained))).words
    assert "no margin was asked for; all those were removed. 96% of the pairs kept enough" in words
    assert "to look at" not in words
    assert "False negatives" not in words


def test_the_suite_is_reported_by_group_and_its_failing_cases_for_the_last_system():
    words = Page(render(full_data())).words
    assert "edge cases critical 1 of 2 1 of 2" in words
    assert "all 2 of 3 2 of 3" in words
    assert "refund critical, edge cases, newly failing about refund refund is at rank 12" in words
    assert "Newly passing, beside live: invoice." in words
    assert "about invoice" not in words


def test_the_page_needs_nothing_from_outside_and_runs_nothing():
    html = render(full_data())
    page = Page(html)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "image", "use"}
    assert not re.search(r"https?://|url\(|@import", html)
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "src"))


def test_every_chart_has_a_name_or_is_hidden_and_every_table_has_headers():
    html = render(full_data())
    for svg in re.findall(r'<svg class="chart[^>]*>', html):
        assert 'aria-label="' in svg or 'aria-hidden="true"' in svg
    assert html.count("<table") == html.count("<thead")


def test_examples_say_why_the_worse_system_failed_where_that_was_kept():
    data = full_data()
    why = {"system": "live", "cause": "order", "meaning": "it is near the top", "evidence": "quote is at rank 2"}
    kept = [{**example("win", "Quote a string.", 0.0, 1.0), "why": why}, *evaluation()["examples"]]
    words = Page(render(replace(data, evaluation=measured(examples=kept)))).words
    assert words.count("Why the baseline did worse: it is near the top (order). quote is at rank 2") == 1
    assert words.count("did worse") == 1


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_wherever_it_stands(text):
    data = full_data()
    found = {**example("win", text, 0.0, 1.0), "metric": text}
    found["baseline_top"] = [{"doc_id": text, "text": text, "relevant": True}]
    found["why"] = dict.fromkeys(("system", "cause", "meaning", "evidence"), text)
    hostile = evaluation()
    hostile["examples"] = [found]
    for each in hostile["results"]:
        each["slices"] = {
            f"module={text}": {"num_queries": 60, "num_groups": None, "metrics": {"nDCG@10": interval(0.5)}}
        }
        each["metrics"][text or "m"] = interval(0.5)
    last = replace(data.events[-1], model_id=text, reasons=(text,), forced=text)
    hostile_suite = {**suite(), "file": text}
    hostile_suite["results"][1] |= {"system": text}
    hostile_suite["results"][1]["failed"][0] |= {"name": text, "query": text, "why": text}
    hostile_suite["changes"][0] |= {"newly_failing": [text], "newly_passing": [text]}
    trained = {**training(), "recipe": {"name": text or "n"}}
    trained["passes"][1]["mining"]["samples"][0] |= dict.fromkeys(("query", "positive", "negative"), text)
    html = render(
        replace(
            with_training(data, trained),
            name=text + "\ud800",
            evaluation=Evaluation.read(hostile),
            origin=text,
            events=[*data.events, last],
            splits={text: 3},
            suite=kept_suite(hostile_suite),
        )
    )
    page = Page(html)
    assert not page.tags & {"script", "img"}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not set(html) & set("\u202e\u2066\x00\x1b\ud800")
    if text.strip() and text.isprintable() and len(text) < 100:
        assert page.words.count(text) > 5


def alarm(name, *, raised, value=0.25):
    sentence = f"{name} was found" + (": do this." if raised else ".")
    return {
        "name": name,
        "value": value,
        "threshold": 0.2,
        "raised": raised,
        "source": "A paper (2007)",
        "sentence": sentence,
    }


def watched(**changes):
    """The data with training queries measured at every point, and alarms."""
    data, trained = full_data(), training()
    for each in trained["passes"]:
        for point in each["fit"]["dev"]:
            point["train"] = point["value"] + 0.0707
    trained |= {
        "alarms": [alarm("rank_lost", raised=False, value=None), alarm("train_dev_gap", raised=True)],
        **changes,
    }
    return with_training(data, trained)


def test_training_queries_and_alarms_are_shown_with_dev():
    html = render(watched())
    words = Page(html).words
    assert "the thin line is a sample of the training queries" in words
    assert '0.5390</td><td class="num">0.6097</td>' in html
    assert html.count('class="quiet line"') == render(full_data()).count('class="quiet line"') + 2
    assert "1 alarm of 2 raised" in words
    assert words.index("train_dev_gap raised") < words.index("rank_lost")
    assert '<td class="num">none</td><td class="num">0.200</td><td>rank_lost was found.' in html
    assert "A paper (2007)" in words


def test_a_model_of_before_alarms_has_none_and_its_curve_is_dev_alone():
    html = render(full_data())
    assert "Overfitting and collapse" not in html
    assert "the thin line" not in html
    assert '0.5390</td><td class="num">none</td>' in html


def test_slices_that_are_too_small_have_a_size_and_no_number():
    small = evaluation()
    for each in small["results"]:
        each["slices"]["module=tiny"] = {"num_queries": 2, "num_groups": None, "metrics": None}
    html = render(replace(full_data(), evaluation=Evaluation.read(small)))
    [row] = [part.partition("</tr>")[0] for part in html.split('<tr role="row"') if "module=<wbr>tiny" in part]
    assert row.count(">too small<") == 2
    assert 'class="value"' not in row


def test_p_is_the_adjusted_one_where_several_systems_were_compared():
    several = evaluation()
    several["results"].insert(1, result(1, "base", "model-0000aaaa1111"))
    for each in several["comparisons"]:
        each["p_adjusted"] = 0.0321
    html = render(replace(full_data(), evaluation=Evaluation.read(several)))
    assert html.count("p = 0.0321 after Holm") == 1 + len(METRICS)
    assert "after Holm<" not in render(full_data())


def entry(number, split, *model_ids):
    return EvaluationEntry(result_id=number, split=split, model_ids=model_ids)


def test_measurements_of_other_test_splits_stand_apart():
    splits = ["test_late", "dev", "test_late", "test", "test_new"]
    entries = [entry(number, split, LIVE, CANDIDATE) for number, split in enumerate(splits)]
    assert measured_apart(entries, "test") == [2, 4]
    late = measured(split="test_late", num_queries=77, ledger={"split": "test_late", "num_test_uses": 5})
    alone = measured(split="test_new", comparisons=[], results=evaluation()["results"][:1])
    section = render(replace(full_data(), apart=[late, alone])).partition("Other test splits")[2]
    section = section.partition("</table>")[0]
    assert "<bdi>test_late</bdi>, nDCG@10" in section
    assert ">77<" in section
    assert section.count("p &lt; 0.0001") + section.count("p = 0.0002") == 1
    assert "Other test splits" not in render(full_data())


def test_numbers_that_are_not_finite_are_named_and_leave_no_mark():
    data = full_data()
    broken = evaluation()
    broken["results"][1]["metrics"]["MAP"] = {"value": nan, "low": nan, "high": nan}
    trained = training()
    trained["passes"][0]["fit"]["losses"][3] = nan
    trained["passes"][0]["fit"]["dev"][1]["value"] = nan
    html = render(replace(with_training(data, trained), evaluation=Evaluation.read(broken)))
    assert not re.search(r"\bnan\b", html)
    assert "none [none, none]" in Page(html).words


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ({"events": (), "live": None}, "nearer promote base"),
        ({"evaluation": None}, "nearer evaluate base"),
        ({"trained": None}, "Nothing has been trained yet"),
        ({"counts": {}}, "nearer add beir DIR"),
        ({"suite": None}, "nearer suite"),
    ],
)
def test_what_is_missing_gets_a_sentence_with_a_command(missing, sentence):
    assert sentence in Page(render(replace(full_data(), **missing))).words


def test_a_system_measured_alone_is_shown_as_the_baseline():
    alone = {**evaluation(), "comparisons": [], "examples": []}
    alone["results"] = alone["results"][:1]
    words = Page(render(replace(full_data(), evaluation=Evaluation.read(alone)))).words
    assert "live was measured alone" in words
    assert "0.541 [0.521, 0.561]" in words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.05, "the gain is proven"),
        (-0.01, 0.05, "do not tell the two systems apart"),
        (-0.05, -0.01, "the candidate is worse"),
        (-1.0, 1.0, "too few queries or groups"),
    ],
)
def test_the_interval_is_put_into_words(low, high, words):
    changed = evaluation()
    changed["comparisons"][0].update(low=low, high=high)
    assert words in Page(render(replace(full_data(), evaluation=Evaluation.read(changed)))).words


@pytest.mark.parametrize(
    ("low", "high", "p_value", "said"),
    [
        (0.01, 0.05, 0.01, "▲ gain"),
        (-0.05, -0.01, 0.01, "▼ loss"),
        (-0.01, 0.05, 0.01, "◇ undecided"),
        (0.01, 0.05, 0.125, "◇ undecided"),  # four queries won and none lost
    ],
)
def test_gains_and_losses_differ_in_word_and_mark_and_not_in_colour_alone(low, high, p_value, said):
    changed = evaluation()
    for each in changed["comparisons"]:
        each.update(difference=(low + high) / 2, low=low, high=high, p_value=p_value, p_adjusted=p_value)
    html = render(replace(full_data(), evaluation=Evaluation.read(changed)))
    assert Page(html).words.count(said) == 1 + len(METRICS)
    assert ("the gain is proven" in html) == (said == "▲ gain")
    assert html.count('class="loss dot"') == (len(METRICS) if high < 0 else 0)
    assert html.count(f'class="figure {said.split()[1]}"') == 1


@pytest.mark.parametrize(
    ("before", "said"), [("hold", "It was let through before."), ("promote", "A former release came back.")]
)
def test_a_release_that_goes_live_without_a_gate_says_why(before, said):
    first = replace(full_data().events[0], action=before, release_id="release-1", reasons=("it gained",))
    html = render(replace(full_data(), events=(first, replace(first, action="promote", reasons=()))))
    assert Page(html).words.count(said) == 2, "in the headline and in the list of decisions"


def test_what_has_nothing_to_say_yet_has_no_title_but_a_line_at_the_end():
    html = render(replace(full_data(), trained=None, suite=None, events=(), live=None, evaluation=None))
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles == ["Data and lineage", "Not done yet"]
    links = re.findall(r"<nav.*?</nav>", html)[0]
    assert re.findall(r'href="#(.*?)"', links) == ["lineage"]
    assert Page(html).words.partition("Not done yet")[2].count("nearer ") == 8


def test_a_comparison_on_dev_is_not_called_a_proof():
    on_dev = measured(split="dev", ledger={"split": "dev", "num_test_uses": None})
    words = Page(render(replace(full_data(), evaluation=on_dev))).words
    assert "the gain is proven" not in words
    assert "dev may be looked at freely, so this is no judgment" in words


def test_refusal_force_and_rollback_are_told_apart():
    data = full_data()
    refused = replace(data, events=data.events[:2])
    words = Page(render(refused)).words
    assert f"model-77aa01bc5512 was refused; {CANDIDATE} stays live." in words
    assert "The comparison behind this decision was not kept." in words
    forced = replace(data.events[-1], reasons=("not proven",), forced="a demonstration")
    words = Page(render(replace(data, events=[forced]))).words
    assert f"{CANDIDATE} is live by force: the gate had refused it." in words
    assert "a demonstration" in words
    back = replace(data.events[-1], action="rollback", model_id=LIVE, reasons=())
    assert f"Rolled back: {LIVE} is live again." in Page(render(replace(data, events=[*data.events, back]))).words


def test_the_evaluation_behind_the_last_decision_is_chosen():
    own, other, alone = measured(), measured(num_queries=7), measured(comparisons=[])
    live = Release(release_id="release-1", model_id=LIVE, space_id="s")
    refusal, promotion = (
        Decision(action=action, model_id=model_id) for action, model_id in (("refuse", CANDIDATE), ("promote", LIVE))
    )
    with_other, with_alone = (replace(promotion, evaluation=each) for each in (other, alone))
    compared, single = entry(1, "test", LIVE, CANDIDATE), entry(2, "test", LIVE)
    assert choose_evaluation(None, None, None, []) == (None, "")
    assert choose_evaluation(with_other, with_other, live, [compared])[0] is other
    assert choose_evaluation(refusal, with_other, live, [compared])[0] == 1
    assert choose_evaluation(replace(refusal, evaluation=own), with_other, live, [compared])[0] is own
    assert choose_evaluation(refusal, with_other, live, [])[0] is other
    assert choose_evaluation(with_alone, with_alone, live, [compared, single])[0] == 1
    assert choose_evaluation(with_alone, with_alone, live, [])[0] is alone
    assert choose_evaluation(None, None, None, [entry(3, "dev", LIVE), single])[0] == 2


def test_the_report_of_an_empty_workspace_is_written(workspace):
    reported = report(workspace, now=lambda: "2026-03-04T10:00:00+00:00")
    assert reported.to_dict() == {"report": str(workspace.reports / "report.html"), "num_evaluations": 0}
    words = Page((workspace.reports / "report.html").read_text()).words
    assert "Nothing is live yet." in words
    assert "2026-03-04 10:00 UTC" in words


def test_the_report_of_a_workspace_with_a_release_replaces_the_last_one(workspace):
    report(workspace)
    registry = workspace.registry
    model = a_model(CANDIDATE, parent_model_id=LIVE)
    record = TrainingRecord.read(training())
    entered = Training(verb="train", part_id=CANDIDATE, is_improved=True, record=record)
    registry.add_training(entered, made=model, parent=a_model(LIVE))
    workspace.results.keep("evaluate", measured(), split="test", model_ids=[LIVE, CANDIDATE])
    release = registry.add_release(model=model, system={})
    decision = Decision(action="promote", model_id=CANDIDATE, reasons=("it gains",), evaluation=measured())
    registry.move_live(decision, expected=None, release_id=release.release_id)
    assert report(workspace)["num_evaluations"] == 1
    words = Page((workspace.reports / "report.html").read_text()).words
    assert f"{CANDIDATE} is live, as the first release." in words
    assert "30,120 hard negatives were proposed" in words
    assert f"the comparison that {release.release_id} was promoted on" in words
    assert [path.name for path in workspace.reports.iterdir()] == ["report.html"]


def test_an_excerpt_is_cut_by_lines_and_by_characters_and_loses_nothing_silently():
    long = excerpt("word " * 4000, max_lines=12, max_characters=600)
    assert 590 < len(long.head) <= 600
    assert long.head.endswith("word")
    assert len(excerpt("x" * 5000, max_lines=12, max_characters=600).head) == 600
    assert len(long.head) + len(long.rest) + long.num_excluded == 20000
    assert excerpt("", max_lines=12, max_characters=600).head == ""


def test_labels_of_a_long_axis_leave_room_for_each_other_and_zero_stays():
    axis = charts.round_axis(-0.013, 0.036, num_steps=5)
    assert len(axis.ticks) == 7
    shown = re.findall(r">([^<>]+)</text>", str(charts.axis_labels(axis, signed=True)))
    assert shown == ["\N{MINUS SIGN}0.02", "0", "+0.02", "+0.04"]


def test_a_difference_axis_holds_zero_and_every_interval():
    for low, high in ((0.2, 0.3), (-1.0, 1.0), (0.0, 0.0), (-0.00004, 0.00002), (0.049, 0.091)):
        axis = charts.difference_axis([charts.Mark(value=(low + high) / 2, low=low, high=high, role="candidate")])
        assert axis.low <= min(low, 0) <= max(high, 0) <= axis.high
        assert 2 <= len(axis.ticks) <= 12


def test_training_queries_are_drawn_in_the_passes_that_measured_them():
    mapped = charts.Curve(name="linear map", steps=(0, 5), values=(0.4, 0.5), num_steps=5)
    learned = charts.Curve(
        name="pass 1", steps=(0, 5, 9), values=(0.5, 0.6, 0.58), kept=9, train=(0.6, 0.7, 0.7), num_steps=9
    )
    drawn = charts.dev_curve([mapped, learned], label="dev")
    assert all(text in drawn for text in ("linear map", "pass 1", "training queries", "kept 0.580"))
    assert "training queries" not in charts.dev_curve([mapped], label="dev")


def test_a_chart_of_one_point_and_of_equal_values_can_be_drawn():
    flat = charts.Curve(name="pass 1", steps=(0, 5), values=(0.5, 0.5), num_steps=5)
    assert "base 0.500" in charts.dev_curve([flat], label="dev")
    assert "base 0.500" in charts.dev_curve(
        [charts.Curve(name="pass 1", steps=(0,), values=(0.5,), num_steps=0)], label="dev"
    )
    assert charts.sparkline([1.0], label="loss") == ""
    assert "path" in charts.sparkline([1.0, 1.0], label="loss")


def test_the_shadow_is_reported_with_what_differs_most():
    hit = ShadowHit(doc_id="<b>d1</b>", score=0.5)
    spread = Spread(p5=1.0, p50=2.0, p95=31.4, p99=4.0)
    side = ShadowSide(latency_ms=spread, top_scores=None, scores=None, num_zero_results=7)
    half = Interval(value=0.5, low=0.4, high=0.6)
    query = ShadowQuery(query="<i>rain</i>", overlap=0.25, rank_biased_overlap=0.2, live=(hit,), shadow=())
    reported = ShadowReport(
        shadow_id="shadow-1",
        system="<u>bm25</u>",
        model_id=CANDIDATE,
        space_id="encoder-1",
        share=0.2,
        started_at="2026-03-01T09:00:00+00:00",
        ended_at=None,
        num_offered=100,
        num_dropped=3,
        num_failed=2,
        live_release_id="release-0a41b2c3d4e5",
        agreement=ShadowAgreement(
            num_queries=95,
            overlap=half,
            rank_biased_overlap=half,
            sides={"live": side, "shadow": side},
            most_different=(query,),
        ),
    )
    html = render(replace(full_data(), shadow=reported))
    words = Page(html).words
    assert "Of 100 queries drawn 3 found no room and 2 had no answer; 95 queries are compared" in words
    assert "31.4" in words
    assert "<i>rain</i> overlap 0.25" in words
    assert all(raw not in html for raw in ("<b>d1", "<i>rain", "<u>bm25"))
    assert "No candidate was asked" in Page(render(full_data())).words
