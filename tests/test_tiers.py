from pathlib import Path

from tiers import EXHAUSTIVE


def test_what_make_test_leaves_out_is_there():
    for name in EXHAUSTIVE:
        file, _, function = name.partition("::")
        assert f"def {function}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), name
