"""The documentation says what the code does."""

import importlib
import json
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from pydantic import BaseModel

import nearer
from nearer.cli import app
from nearer.core.recipe import Recipe

ROOT = Path(__file__).parent.parent


def recipe_rows(section: BaseModel, prefix=""):
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from recipe_rows(value, f"{prefix}{key}.")
        else:
            shown = "none" if value is None else f"`{json.dumps(value)}`"
            yield f"| `{prefix}{key}` | {shown} |"


def test_every_recipe_key_is_documented_with_its_default():
    text = (ROOT / "docs/recipe.md").read_text(encoding="utf-8")
    missing = [row for row in recipe_rows(Recipe()) if row not in text]
    assert missing == []


def test_no_recipe_key_is_documented_that_does_not_exist():
    text = (ROOT / "docs/recipe.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", text, flags=re.MULTILINE))
    assert documented == {row.split("`")[1] for row in recipe_rows(Recipe())}


def test_every_verb_is_in_the_readme_or_the_guide():
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/how-it-works.md"))
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [name for name in names if f"nearer {name}" not in text] == []


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_public_name_can_be_imported_and_is_listed():
    assert [name for name in nearer.__all__ if getattr(nearer, name) is None] == []
    assert sorted(nearer.__all__) == sorted(nearer._WHERE)


def test_public_functions_are_not_hidden_by_packages_of_the_same_name():
    for module in pkgutil.walk_packages(nearer.__path__, "nearer."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert all(not isinstance(getattr(nearer, name), ModuleType) for name in nearer.__all__)
