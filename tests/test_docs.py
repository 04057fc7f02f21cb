"""The documentation says what the code does."""

import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

import nearer
from nearer.core.recipe import Recipe

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
