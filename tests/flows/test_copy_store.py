"""nearer store copy: PostgreSQL and back, every row the same, whole or not at all."""

import psycopg
import pytest

import nearer as package
from copy_work import copy_to
from forked import die_at
from nearer.core.errors import Conflict, InputError, NearerError, WorkspaceError
from nearer.core.records import Document
from nearer.flows.documents import put
from nearer.store import copying
from nearer.store.workspace import Workspace
from nearer.turns.news import read_news


@pytest.fixture
def filled(make_workspace, fill_workspace):
    workspace = make_workspace()
    fill_workspace(workspace, num_documents=30)
    put(workspace, [Document(doc_id="odd", text="a\0b \uffff ü 𝄞", metadata={"nul": "\0", "x": [1.5, None, True]})])
    workspace.registry.use_test_split(split="test", systems=["base"], purpose="x")
    return workspace


def everything(workspace):
    reading = workspace.collection
    return reading.documents(), reading.queries(), reading.all_judgments(), reading.split_of(), reading.revision()


def test_there_and_back_all_is_the_same(filled, postgres_schema, tmp_path):
    before = everything(filled)
    there = package.copy_store(filled, postgres_schema)
    assert (there.is_in_recipe, there.tables["documents"].num_rows) == (False, 31)
    assert sum(each.num_rows for each in there.tables.values()) == there.num_rows > 100
    moved = Workspace.init(tmp_path / "moved", recipe={"store": {"url": postgres_schema}})
    assert everything(moved) == before
    Workspace.init(tmp_path / "back").close()
    back = package.copy_store(moved, tmp_path / "back")
    assert back.tables == there.tables
    with Workspace.open(tmp_path / "back") as returned:
        assert everything(returned) == before
    assert moved.registry.use_test_split(split="test", systems=["base"], purpose="y").num_test_uses == 2
    moved.close()


def test_with_write_the_recipe_names_the_copy(filled, postgres_schema):
    recipe = filled.folder / "nearer.toml"
    recipe.write_text(f"# ours\n{recipe.read_text()}")
    news = read_news(filled)
    package.copy_store(filled, postgres_schema, write=True)
    assert recipe.read_text().startswith("# ours\n")
    before = everything(filled)
    filled.close()
    with Workspace.open(filled.folder) as moved:
        assert moved.database.name.startswith("postgresql://")
        assert everything(moved) == before
        assert read_news(moved) == news
        put(moved, [Document(doc_id="later", text="x")])
        with pytest.raises(InputError, match="holds documents already"):
            package.copy_store(moved, filled.folder, write=True)
        (filled.state / "control.sqlite").rename(filled.folder / "old.sqlite")
        package.copy_store(moved, filled.folder, write=True)
    with Workspace.open(filled.folder) as back:
        assert back.database.name.endswith("control.sqlite")
        assert back.collection.counts()["documents"] == 32


def test_a_target_that_holds_something_is_left_alone(filled, postgres_schema):
    package.copy_store(filled, postgres_schema)
    with pytest.raises(InputError, match="holds documents already"):
        package.copy_store(filled, postgres_schema)
    with pytest.raises(InputError, match="where it lies already"):
        package.copy_store(filled, filled.folder)


@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("nowhere", "is no workspace"),
        ("postgresql://me:s3cret@db/shop", "without a password"),
        ("$NO_SUCH_NAME", "the environment has no"),
        ("mysql://me@db/shop", "postgresql://"),
    ],
)
def test_a_target_that_is_none(filled, to, error):
    with pytest.raises(NearerError, match=error) as caught:
        package.copy_store(filled, to)
    assert "s3cret" not in str(caught.value)


def test_a_difference_undoes_the_copy(filled, postgres_schema, monkeypatch):
    copy = copying._copy
    monkeypatch.setattr(copying, "_copy", lambda *given: copy(*given).plus(["one more"]))
    with pytest.raises(WorkspaceError, match="is not the same there"):
        package.copy_store(filled, postgres_schema)
    with psycopg.connect(postgres_schema, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (0,)


@pytest.mark.parametrize("step", ["copy.compared", "copy.kept"])
@pytest.mark.parametrize("target", ["postgres", "folder"])
def test_killed_it_is_there_whole_or_not_at_all(filled, postgres_schema, tmp_path, step, target):
    filled.close()
    if target == "folder":
        Workspace.init(tmp_path / "other").close()
    to = postgres_schema if target == "postgres" else tmp_path / "other"
    die_at(step, copy_to, filled.folder, to)
    with Workspace.open(filled.folder) as workspace:
        if step == "copy.kept":
            with pytest.raises(InputError, match="already"):
                package.copy_store(workspace, to)
        else:
            assert package.copy_store(workspace, to).tables["documents"].num_rows == 31


def test_who_has_it_open_would_write_to_the_old_one(filled, postgres_schema, monkeypatch):
    monkeypatch.setattr("nearer.flows.copy_store.num_others", lambda locks: 1)
    with pytest.raises(Conflict, match="1 other processes"):
        package.copy_store(filled, postgres_schema, write=True)


def test_the_command_says_what_it_did(nearer, ask, filled, postgres_schema):
    filled.close()
    reported = ask(filled.folder, "store", "copy", "--to", postgres_schema, "--write")
    assert (reported["is_in_recipe"], reported["tables"]["documents"]["num_rows"]) == (True, 31)
    assert ask(filled.folder, "status")["bytes"]["documents and records"] > 0
    refused = nearer("store", "copy", "--to", postgres_schema, "--dir", filled.folder)
    assert refused.exit_code == 2
    backed = ask(filled.folder, "backup", filled.folder.parent / "b.zip")
    assert backed["num_files"] > 1
    restored = filled.folder.parent / "restored"
    assert nearer("restore", filled.folder.parent / "b.zip", restored, "--json").json["num_documents"] == 31
    with psycopg.connect(postgres_schema, autocommit=True) as connection:
        connection.execute("DELETE FROM judgments; DELETE FROM documents")
    with Workspace.open(restored) as workspace:
        assert workspace.recipe.store.url is None
        assert workspace.collection.counts()["documents"] == 31
