"""A removed document's text is nowhere in the workspace any more."""

from nearer.core.results.measuring import Evaluation
from nearer.flows.evaluate import evaluate
from nearer.flows.promote import promote
from nearer.flows.remove import remove
from nearer.flows.report import report
from nearer.flows.train import train
from nearer.store.workspace import Workspace


def test_the_text_of_a_removed_document_is_nowhere(base_live, stub_trainer):
    with Workspace.open(base_live) as workspace:
        model_id = train(workspace)["model_id"]
        result = evaluate(workspace, ["base", model_id])
        promote(workspace, model_id, force_reason="its evidence quotes documents")
        report(workspace)
        shown = {each["doc_id"]: each["text"] for example in result["examples"] for each in example["relevant"]}
        texts = {each.doc_id: each.text for each in workspace.collection.documents(sorted(shown))}
        assert texts
        assert any(_holders(base_live, text) for text in texts.values())
        remove(workspace, sorted(texts))
        assert {doc_id: found for doc_id, text in texts.items() if (found := _holders(base_live, text))} == {}
        kept = workspace.results.last("evaluate", Evaluation).result
        assert "(removed since)" in str(kept.examples)


def _holders(folder, text):
    """The files below the workspace's state that hold a text, as it is or as JSON has it."""
    wanted = {text.encode(), text.encode("unicode_escape")}
    files = [path for path in (folder / ".nearer").rglob("*") if path.is_file()]
    return [path.name for path in files if any(each in path.read_bytes() for each in wanted)]
