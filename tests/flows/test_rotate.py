"""A rotated model: nothing is encoded for it, it ranks as before, and loses less when it is compressed."""

import pytest

from nearer.core.errors import InputError
from nearer.flows.rotate import rotate
from nearer.store.workspace import Workspace

SIZES = ("--set", "compress.dimensions=[8]")


@pytest.fixture
def rotated(base_live, no_document_encoded):
    workspace = Workspace.open(base_live)
    made = rotate(workspace, "base")
    workspace.close()
    return made["model_id"]


def test_it_ranks_as_before_and_loses_less_when_it_is_compressed(ask, base_live, rotated):
    results = ask(base_live, "evaluate", "base", rotated, "--split", "dev")["results"]
    before, after = (result["metrics"]["nDCG@10"]["value"] for result in results)
    assert after == pytest.approx(before, abs=1e-6)
    tables = {name: ask(base_live, "compress", name, *SIZES)["rows"] for name in ("base", rotated)}
    cut = {(name, row["dimension"], row["precision"]): row["value"] for name, rows in tables.items() for row in rows}
    assert cut[rotated, 8, "float32"] > cut["base", 8, "float32"]


@pytest.mark.exhaustive
def test_compress_rotates_first_where_that_is_asked(ask, base_live, rotated):
    assert ask(base_live, "compress", "base", "--rotated", *SIZES)["system"] == rotated
    short = ask(base_live, "compress", "base", "--rotated", "--dimension", "8")
    assert (short["parent_model_id"], short["full_dimension"]) == (rotated, 32)


def test_it_gets_an_index_by_one_product_is_promoted_and_shown(ask, nearer, base_live, rotated):
    [built] = ask(base_live, "index", rotated)["indexes"]
    assert (built["num_encoded"], built["num_documents"]) == (0, 80)
    assert ask(base_live, "promote", rotated, "--force", "--reason", "to see it", code=None)["verdict"] == "promoted"
    assert ask(base_live, "search", "music")["space_id"] == built["space_id"]
    assert "rotated adapter" in nearer("lineage", rotated, "--dir", base_live).out
    nearer("report", "--dir", base_live)
    assert rotated in (base_live / ".nearer" / "reports" / "report.html").read_text()


def test_the_same_pairs_rotate_alike(base_live, rotated):
    workspace = Workspace.open(base_live)
    assert rotate(workspace, "base")["model_id"] == rotated
    with pytest.raises(InputError):
        rotate(workspace, "base+rerank")
    workspace.close()


@pytest.mark.exhaustive
def test_a_rotated_model_can_be_rotated_again(base_live, rotated):
    workspace = Workspace.open(base_live)
    again = rotate(workspace, rotated)
    workspace.close()
    assert again["parent_model_id"] == rotated
    assert again["num_pairs"] == 140
