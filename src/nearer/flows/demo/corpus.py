"""The demo's corpus: the functions of the Python standard library found on this machine.

A query is the first sentence of a function's docstring; the document to find is the function's source
without that docstring. Functions that share a first sentence are one query with several positives.
"""

import ast
import hashlib
import re
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EXCLUDED_PARTS = frozenset(
    {"test", "tests", "idlelib", "turtledemo", "lib2to3", "distutils", "site-packages", "dist-packages", "__pycache__"}
)
"""Folders left out: tests, programs rather than a library, and packages that are gone from newer Pythons."""

MIN_QUERY_WORDS = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"'`])")


@dataclass(frozen=True, slots=True, kw_only=True)
class StdlibFunction:
    """One documented function: where it stands, its first docstring sentence and its source without the docstring."""

    name: str
    module: str
    sentence: str
    source: str

    @property
    def top_module(self) -> str:
        """The top-level module, the group that is held out whole.

        >>> StdlibFunction(name="f", module="email.utils", sentence="", source="").top_module
        'email'
        """
        return self.module.partition(".")[0]


def first_sentence(docstring: str) -> str:
    r"""The first sentence of a docstring's first paragraph, on one line.

    >>> first_sentence("Return the sum. Raises\nValueError.\n\nMore.")
    'Return the sum.'
    """
    paragraph = docstring.strip().split("\n\n", 1)[0]
    return _SENTENCE_END.split(" ".join(paragraph.split()), maxsplit=1)[0]


def stdlib_functions(root: Path | None = None) -> Iterator[StdlibFunction]:
    """Every documented function below ``root`` (default: this Python's standard library), in path order."""
    root = root or Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if EXCLUDED_PARTS.isdisjoint(relative.parts) and not relative.parts[0].startswith("config-"):
            yield from _functions_of(path, module=_module_name(relative))


def _module_name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions_of(path: Path, *, module: str) -> Iterator[StdlibFunction]:
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (UnicodeDecodeError, SyntaxError):
        return  # a template or a fixture that is not a module
    lines = [line + "\n" for line in source.split("\n")]  # as the parser counts; splitlines cuts at form feeds too
    for name, node in _walk(tree, prefix=module):
        docstring = ast.get_docstring(node)
        sentence = first_sentence(docstring) if docstring else ""
        if len(sentence.split()) >= MIN_QUERY_WORDS and not sentence.startswith(">>>"):
            yield StdlibFunction(name=name, module=module, sentence=sentence, source=_without_docstring(node, lines))


def _walk(node: ast.AST, *, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from _walk(child, prefix=name)
        else:
            yield from _walk(child, prefix=prefix)


def _without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str:
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    docstring = node.body[0]
    end, docstring_end = node.end_lineno, docstring.end_lineno
    assert isinstance(end, int)
    assert isinstance(docstring_end, int)
    head = lines[start - 1 : docstring.lineno - 1]
    before = lines[docstring.lineno - 1].encode()[: docstring.col_offset].decode()
    if before.strip():  # def f(): "docstring" on one line
        head.append(before + "\n")
    return textwrap.dedent("".join([*head, *lines[docstring_end:end]])).strip()


def text_id(prefix: str, text: str) -> str:
    """A short id made of the text alone, the same on every machine.

    >>> text_id("q", "Return the sum.")
    'q7600eb44cd46'
    """
    return prefix + hashlib.sha256(text.encode()).hexdigest()[:12]
