"""The documentation says what the code does."""

import importlib
import importlib.util
import pkgutil
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer
from pydantic import BaseModel

import nearer
from nearer.cli import whole_app
from nearer.core.recipe import Recipe, load_recipe
from nearer.online.plan import read_plan

ROOT = Path(__file__).parent.parent


def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = reference()


@pytest.mark.parametrize("name", REFERENCE.PAGES)
def test_a_generated_page_says_what_the_code_says(name):
    kept = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    assert kept == REFERENCE.PAGES[name](), "run: make docs"


def recipe_keys(section: BaseModel, prefix=""):
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from recipe_keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", field.description


def test_every_recipe_key_says_what_it_means():
    assert [key for key, description in recipe_keys(Recipe()) if not description] == []


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
            linked = page.parent / target if target else page
            assert linked.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}#{anchor}"


def test_every_public_name_can_be_imported_and_is_listed():
    assert [name for name in nearer.__all__ if getattr(nearer, name) is None] == []
    assert nearer._WHERE.keys() <= set(nearer.__all__)


def test_public_functions_are_not_hidden_by_packages_of_the_same_name():
    for module in pkgutil.walk_packages(nearer.__path__, "nearer."):
        if not module.name.endswith("__main__") and not module.name.startswith("nearer.integrations."):
            importlib.import_module(module.name)
    assert all(not isinstance(getattr(nearer, name), ModuleType) for name in nearer.__all__)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
OLD_WORDS = [
    *(
        r"spar(ed|es|ing)\b",
        r"\bspared_from\b",
        r"(?<!-)\bturned\b",
        r"linear map first",
        r"\bsealed\b",
        r"\btold\b",
        r"\blint_",
    ),
    *(r"\bleft_out\b", r"\brecut\b", r"\bobeyed\b", r"\blooks? at (a |the )?test", r"own document", r"nearer shorten"),
    r"train\.(curriculum|neighbourhood|query_prompt|document_prompt)\b",
    *(r"mining\.(margin_from|judge)\b", r"NEARER_DIE_AT", r"how-it-works"),
]
"""Words of our own that the field's words replaced; CONTRIBUTING has the list for people."""


@pytest.mark.parametrize("word", OLD_WORDS)
def test_no_page_uses_a_word_of_our_own(word):
    pages = [page for page in PAGES if page.name not in ("CONTRIBUTING.md", *REFERENCE.PAGES)]
    found = [
        f"{page.name}:{number}: {line.strip()}"
        for page in pages
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(word, line)
    ]
    assert found == []


def test_pages_keep_their_length():
    too_long = [page.name for page in ROOT.glob("docs/how-to/*.md") if len(page.read_text().splitlines()) > 80]
    assert too_long == []
    assert len((ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_how_to_page_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in ROOT.glob("docs/how-to/*.md") if f"docs/how-to/{page.name}" not in readme] == []


def test_commands_on_the_pages_exist_with_their_options():
    group = typer.main.get_command(whole_app())
    wrong = []
    for page in PAGES:
        blocks = re.findall(
            r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for line in "".join(blocks).splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["nearer"]:
                command = group.commands.get(words[1])
                if isinstance(command, typer.core.TyperGroup):
                    itself = command if command.invoke_without_command else None
                    command = command.commands.get("".join(words[2:3]), itself)
                known = (
                    {"--help", "--debug", *(name for each in command.params for name in each.opts)} if command else {}
                )
                options = [word.partition("=")[0] for word in words[2:] if word.startswith("-")]
                wrong += [f"{page.name}: {line}"] if command is None or not set(options) <= set(known) else []
    assert wrong == []


def test_recipe_keys_on_the_pages_exist():
    keys = {key for key, _ in recipe_keys(Recipe())}
    sections = {key.rpartition(".")[0] for key in keys} - {""}
    wrong = []
    for page in PAGES:
        if page.name not in ("results-archive.md", "reliability.md") and page.parent.name != "adr":
            text = page.read_text(encoding="utf-8")
            named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?: ?=[^`]*)?`|--set ([a-z_.]+)=", text)
            for name in ("".join(each) for each in named):
                is_key = name.split(".")[0] in {section.split(".")[0] for section in sections}
                if is_key and "." in name and name not in keys | sections:
                    wrong.append(f"{page.name}: {name}")
    assert wrong == []


def test_recipes_on_the_pages_are_valid(tmp_path):
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)):
            if "[[case]]" not in block:
                file = tmp_path / f"{page.name}-{number}.toml"
                file.write_text(block, encoding="utf-8")
                read_plan(file) if "hypothesis" in block else load_recipe(file)
