"""What others write while a system is measured stops no measurement: it is of the documents that it began with."""

import pytest

from folders import write_jsonl
from nearer.advice import advice_data, queries
from nearer.core.progress import Silent
from nearer.evaluation import diagnosis, gating, judged_split
from nearer.flows import compress, evaluate, export
from nearer.flows.add import add
from nearer.flows.diagnose import diagnose
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace


def ranked(workspace):
    path = workspace.folder / "base.run"
    path.unlink(missing_ok=True)
    export.export(workspace, "run", path)
    return path.read_text()


def values(workspace):
    return [each.metrics for each in evaluate.evaluate(workspace, ["base"]).results]


def causes(workspace):
    return diagnose(workspace, "base").by_query


def sizes(workspace):
    return [each.value for each in compress.compression_curve(workspace, "base").rows]


def remedies(workspace):
    return advice_data.AdviceData(workspace, Silent()).base["nDCG@10"].tolist()


MEASURES = {
    values: (evaluate, "open_system"),
    ranked: (export, "open_system"),
    causes: (diagnosis, "_stale"),
    sizes: (compress, "_open"),
    remedies: (advice_data, "open_system"),
}


@pytest.fixture
def workspace(make_workspace, fill_workspace, store_recipe):
    made = make_workspace({"split": {"dev_fraction": 0.3, "test_fraction": 0.2}, **store_recipe})
    fill_workspace(made)
    return made


def edit_after(monkeypatch, module, name, workspace):
    """Have another edit all documents whenever a function has done its work."""
    function, rows = getattr(module, name), workspace.folder / "edited.jsonl"

    def wrapped(*arguments, **options):
        found = function(*arguments, **options)
        with Workspace.open(workspace.folder) as other:
            ids = other.collection.document_hashes()
            add(other, "corpus", write_jsonl(rows, [{"_id": each, "text": "all the same"} for each in ids]))
        return found

    monkeypatch.setattr(module, name, wrapped)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("is_late", [False, True])
def test_documents_edited_meanwhile_change_no_number(workspace, monkeypatch, measure, is_late):
    expected = measure(workspace)
    read = (queries if measure is remedies else judged_split), "read_judged_split"
    edit_after(monkeypatch, *(MEASURES[measure] if is_late else read), workspace)
    assert measure(workspace) == expected
    monkeypatch.undo()
    assert measure(workspace) != expected, "it was edited"


@pytest.mark.parametrize("place", [(judged_split, "read_judged_split"), (gating, "open_system")])
def test_documents_edited_meanwhile_stop_no_promotion(workspace, monkeypatch, place):
    edit_after(monkeypatch, *place, workspace)
    assert promote(workspace, "base").verdict == "promoted"
