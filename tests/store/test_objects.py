"""Object storage: folders that are whole or not there, refused when changed, and faults without secrets."""

import json
import shutil

import pytest

from nearer.core.errors import InputError, RecipeError, ServiceError
from nearer.core.recipe import load_recipe
from nearer.store import objects
from nearer.store.objects import MANIFEST, Objects
from s3_server import SECRET

NAME = "models/enc-1"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)) * 9000)  # more than one block
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "empty").touch()
    return folder


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_as_it_was(s3, folder, tmp_path):
    store = Objects(f"{s3}/team/")
    assert store.push(folder, NAME)
    assert not store.push(folder, NAME), "it is there already"
    assert store.fetch(NAME, tmp_path / "new" / "copy")
    assert content(tmp_path / "new" / "copy") == content(folder)
    assert not store.fetch("models/enc-2", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    store.remove(NAME)
    store.remove(NAME)
    assert not store.fetch(NAME, tmp_path / "gone")


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "manifest", "other format", "leads out"])
def test_what_is_not_what_was_uploaded_is_refused(s3, s3_server, folder, tmp_path, damage):
    store, files = Objects(s3), s3_server.files()
    store.push(folder, NAME)
    weights, manifest = f"{s3}/{NAME}/weights", f"{s3}/{NAME}/{MANIFEST}"
    plain = json.loads(files.cat_file(manifest))
    if damage == "gone":
        files.rm_file(weights)
    elif damage in ("cut", "changed"):
        whole = (folder / "weights").read_bytes()
        files.pipe_file(weights, whole[:-1] if damage == "cut" else whole[:-1] + b"x")
    elif damage == "manifest":
        files.pipe_file(manifest, b"{")
    elif damage == "other format":
        files.pipe_file(manifest, json.dumps({**plain, "format_version": 2}).encode())
    else:
        moved = {"../../out": plain["files"]["weights"]}
        files.pipe_file(manifest, json.dumps({**plain, "files": moved}).encode())
    with pytest.raises(ServiceError, match="is not what was uploaded"):
        store.fetch(NAME, tmp_path / "copy")
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_an_upload_that_dies_is_nothing_and_is_made_up_for(s3, folder, tmp_path, monkeypatch):
    store = Objects(s3)
    put, sent = store._files.put_file, []

    def dies(source, target, **options):
        if sent:
            raise ConnectionResetError("cut off")
        sent.append(target)
        return put(source, target, **options)

    monkeypatch.setattr(store._files, "put_file", dies)
    with pytest.raises(ServiceError, match="does not answer"):
        store.push(folder, NAME)
    assert not Objects(s3).fetch(NAME, tmp_path / "copy")
    assert Objects(s3).push(folder, NAME)
    assert Objects(s3).fetch(NAME, tmp_path / "copy")


def test_an_upload_that_arrives_changed_is_refused(s3, folder, tmp_path, monkeypatch):
    store = Objects(s3)
    monkeypatch.setattr(store._files, "put_file", lambda source, target: store._files.pipe_file(target, b"other"))
    with pytest.raises(ServiceError, match="is not what was uploaded"):
        store.push(folder, NAME)
    assert not Objects(s3).fetch(NAME, tmp_path / "copy")


@pytest.mark.parametrize(
    ("variable", "value", "address", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-word", None, "credentials are refused"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", None, "does not answer"),
        (None, None, "s3://no-such-bucket-here/x", "no .*bucket"),
    ],
)
def test_faults_are_said_without_secrets(s3, folder, tmp_path, monkeypatch, variable, value, address, message):
    if variable:
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    store = Objects(address or s3)
    for attempt in (lambda: store.push(folder, NAME), lambda: store.fetch(NAME, tmp_path / "copy")):
        with pytest.raises(ServiceError, match=message) as caught:
            attempt()
        said = f"{caught.value.message} {caught.value.hint}"
        assert caught.value.hint
        assert not any(secret in said for secret in (SECRET, "wrong-word"))
        assert caught.value.__cause__ is None, "what the client says may hold keys"


def test_without_credentials_it_says_which_to_set(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ServiceError) as caught:
        Objects(s3).fetch(NAME, tmp_path / "copy")
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_without_s3fs_the_error_has_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(InputError) as caught:
        Objects("s3://bucket")
    assert caught.value.hint == "install it: pip install 'nearer[s3]'"


@pytest.mark.parametrize(
    "address", ["s3://key:secret@bucket/x", "http://host/bucket", "s3://", "s3://b/../x", "s3://bucket/a b", "bucket"]
)
def test_addresses_with_keys_and_other_addresses_are_refused(address):
    with pytest.raises(RecipeError) as caught:
        load_recipe(None, overrides=(f"store.files={address}",))
    assert "AWS_SECRET_ACCESS_KEY" in f"{caught.value.message} {caught.value.hint}"


def test_a_model_is_fetched_where_its_folder_is_gone(s3, make_workspace, folder):
    workspace = make_workspace({"store": {"files": f"{s3}/shop"}})
    shutil.copytree(folder, workspace.models / "enc-1")
    assert objects.push_models(workspace) == 1
    assert objects.push_models(workspace) == 0
    shutil.rmtree(workspace.models)
    assert content(objects.model_folder(workspace, "enc-1")) == content(folder)
    objects.remove_remote_model(workspace, "enc-1")
    assert objects.push_models(workspace) == 1
