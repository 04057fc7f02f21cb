import re
from pathlib import Path

import pytest

import nearer
from forked import arm, die_at
from nearer.core import failpoints
from nearer.core.failpoints import failpoint


def pass_a_and_b_twice(done):
    for number, name in enumerate(("a", "b", "b")):
        (done / f"{number}{name}").touch()
        failpoint(name)


@pytest.mark.parametrize(("where", "done"), [("a", ["0a"]), ("b", ["0a", "1b"]), ("b:2", ["0a", "1b", "2b"])])
def test_dies_at_the_named_time_of_a_failpoint(where, done, tmp_path):
    die_at(where, pass_a_and_b_twice, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == done


@pytest.mark.parametrize("where", ["b:3", "c"])
def test_lives_where_none_is_of_that_name_or_time(where, tmp_path, monkeypatch):
    monkeypatch.setattr(failpoints, "handler", None)
    arm(where)
    pass_a_and_b_twice(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_in_the_program_kills_a_process_or_says_what_happens_at_a_failpoint():
    for path in Path(nearer.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "SIGKILL" not in text, path
        assert "failpoints.handler" not in text, path


def test_nothing_in_the_program_reads_a_pickle():
    for path in Path(nearer.__file__).parent.rglob("*.py"):
        text = re.sub(r"\s", "", path.read_text(encoding="utf-8"))
        for call in ("torch.load(", "weights_only=False", "allow_pickle=True", "importpickle", "frompickle"):
            assert call not in text, f"{path}: {call}"
