import ast
import itertools

import pytest

from nearer.flows.demo.corpus import StdlibFunction, first_sentence, stdlib_functions, text_id


@pytest.fixture
def functions(tmp_path):
    def functions(source, name="module.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
        return {function.name: function for function in stdlib_functions(tmp_path)}

    return functions


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return the sum of a list.", "Return the sum of a list."),
        ("\n    Return the\n    sum. It is fast.\n", "Return the sum."),
        ("Use e.g. this one. Then that.", "Use e.g. this one."),
        ("f(x) -> sum\n\nReturn it.", "f(x) -> sum"),
        ("Is it so? Yes.", "Is it so?"),
        ("See 'x'. 'y' is other.", "See 'x'."),
    ],
)
def test_the_first_sentence(docstring, sentence):
    assert first_sentence(docstring) == sentence


def test_functions_methods_and_nested_ones_have_names_and_no_docstring(functions):
    found = functions(
        '''
@decorator(
    1)
def plain(x):
    """Return what was given. More.

    And more."""
    return x  # kept

class Thing:
    """Not a function at all."""
    async def method(self):
        """Do the thing asynchronously."""
        def inner():
            """Return nothing at all."""
        return inner

if True:
    def conditional():
        """Only under some condition."""
        pass
''',
        "package/__init__.py",
    )
    assert list(found) == ["package.plain", "package.Thing.method", "package.Thing.method.inner", "package.conditional"]
    plain = found["package.plain"]
    assert plain.source == "@decorator(\n    1)\ndef plain(x):\n    return x  # kept"
    assert (plain.sentence, plain.module, plain.top_module) == ("Return what was given.", "package", "package")
    assert found["package.Thing.method"].source.startswith("async def method(self):\n    def inner():")


def test_short_and_missing_docstrings_are_left_out(functions):
    assert (
        functions('def a():\n    "Too short."\ndef b():\n    pass\ndef c():\n    x = "not a docstring at all"\n') == {}
    )


def test_a_docstring_on_the_line_of_its_def_is_cut_out(functions):
    found = functions('def f(é="ö"): "Return nothing at all."\n\ndef g(a,\n      b): "Return nothing at all."\n')
    assert found["module.f"].source == 'def f(é="ö"):'
    assert found["module.g"].source == "def g(a,\n      b):"


@pytest.mark.parametrize("mark", ["\x0c", "\x1c", "\u2028", "\x85"])
def test_marks_that_python_does_not_count_as_lines_shift_nothing(functions, mark):
    source = f'# a {mark} mark\ndef f(x):\n    """Return what was given."""\n    return x\n'
    assert functions(source)["module.f"].source == "def f(x):\n    return x"


def test_windows_line_ends(functions):
    found = functions('def f(x):\r\n    """Return what was given."""\r\n    return x\r\n')
    assert found["module.f"].source == "def f(x):\n    return x"


def test_tests_programs_and_what_is_no_python_are_left_out(functions, tmp_path):
    source = 'def f():\n    """Return nothing at all."""\n'
    for name in ("test/a.py", "pkg/tests/a.py", "site-packages/a.py", "config-3.11-x86/a.py", "idlelib/a.py"):
        functions(source, name)
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n")
    functions("def broken(:\n", "template.py")
    assert list(functions(source, "b.py")) == ["b.f"]


def test_files_come_in_path_order(functions):
    source = 'def f():\n    """Return nothing at all."""\n'
    for name in ("z.py", "a/b.py", "a/__init__.py"):
        found = functions(source, name)
    assert list(found) == ["a.f", "a.b.f", "z.f"]


def test_ids_tell_texts_and_kinds_apart():
    assert text_id("q", "a") == text_id("q", "a") != text_id("q", "b")
    assert text_id("q", "a")[1:] == text_id("d", "a")[1:]
    assert len(text_id("d", "é")) == 13


@pytest.mark.exhaustive
def test_the_library_of_this_machine_has_functions():
    found = list(itertools.islice(stdlib_functions(), 300))
    assert len({function.name for function in found}) > 250
    for function in found:
        assert isinstance(function, StdlibFunction)
        assert len(function.sentence.split()) >= 3
        assert "def " in function.source
    whole = [function for function in found if function.source.count("\n") > 1]
    parsed = [ast.parse(function.source).body[0] for function in whole]
    assert len(parsed) > 200
    assert all(ast.get_docstring(node) is None for node in parsed)
