from pathlib import Path

from tiers import KEPT


def test_what_make_test_keeps_of_a_function_is_there():
    for name in KEPT:
        file, _, function = name.partition("::")
        assert f"def {function}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), name


def test_every_name_of_a_case_is_one(request):
    collected = {item.nodeid for item in request.session.items}
    for name, cases in KEPT.items():
        there = {each for each in collected if each.startswith(f"tests/{name}[")}
        missing = [case for case in cases if f"tests/{name}[{case}]" not in there]
        assert not there or not missing, f"{name}: {missing}"
