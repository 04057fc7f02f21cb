"""The recipe: every choice that has a default, read from ``nearer.toml`` and recorded whole with each run."""

import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from nearer.core.errors import RecipeError
from nearer.core.sections import (
    AdapterRecipe,
    AdviseRecipe,
    ChunkRecipe,
    ColumnsRecipe,
    CompressRecipe,
    CostRecipe,
    EncoderRecipe,
    EvaluateRecipe,
    EventsRecipe,
    GateRecipe,
    GradesRecipe,
    IndexRecipe,
    MiningRecipe,
    RerankerRecipe,
    SearchRecipe,
    Section,
    SplitRecipe,
    StoreRecipe,
    TrainRecipe,
)
from nearer.core.toml_files import explained, is_misplaced, read_toml

RECIPE_FILE = "nearer.toml"
_MOST_BYTES = 2**20


class Recipe(Section):
    """The whole recipe."""

    name: str = Field(default="workspace", description="shown in the report")
    store: StoreRecipe = StoreRecipe.model_construct()
    encoder: EncoderRecipe = EncoderRecipe.model_construct()
    chunk: ChunkRecipe = ChunkRecipe.model_construct()
    columns: ColumnsRecipe = ColumnsRecipe.model_construct()
    events: EventsRecipe = EventsRecipe.model_construct()
    grades: GradesRecipe = GradesRecipe.model_construct()
    split: SplitRecipe = SplitRecipe.model_construct()
    train: TrainRecipe = TrainRecipe.model_construct()
    adapter: AdapterRecipe = AdapterRecipe.model_construct()
    reranker: RerankerRecipe = RerankerRecipe.model_construct()
    mining: MiningRecipe = MiningRecipe.model_construct()
    evaluate: EvaluateRecipe = EvaluateRecipe.model_construct()
    gate: GateRecipe = GateRecipe.model_construct()
    index: IndexRecipe = IndexRecipe.model_construct()
    compress: CompressRecipe = CompressRecipe.model_construct()
    search: SearchRecipe = SearchRecipe.model_construct()
    advise: AdviseRecipe = AdviseRecipe.model_construct()
    cost: CostRecipe = CostRecipe.model_construct()

    @property
    def other_encoders(self) -> dict[str, EncoderRecipe]:
        """The encoders to set beside the base, by the names of their systems; batches are the base's unless set."""
        batch = {"batch_size": self.encoder.batch_size}
        return {
            each.name: each if batch.keys() <= each.model_fields_set else each.model_copy(update=batch)
            for each in self.advise.encoders
        }

    @property
    def group_field(self) -> str | None:
        """The query field whose groups are resampled whole: the split's own unless the recipe names one."""
        if self.evaluate.group_field:
            return self.evaluate.group_field
        return self.split.field if self.split.by == "group" else None


def load_recipe(path: Path | None, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in ``path``, or the defaults, with ``section.key=value`` overrides applied.

    Raises RecipeError with the file, the key, what is wrong and how to mend it.
    """
    values = read_toml(path, most_bytes=_MOST_BYTES, fault=RecipeError) if path else {}
    for override in overrides:
        set_keys(values, _parsed(override))
    return _validated(values, source=path or "--set")


def with_keys(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with keys such as ``search.dense_weight`` set. Raises RecipeError for a value that cannot work."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    set_keys(values, changes)
    return _validated(values, source=", ".join(changes))


def set_keys(values: MutableMapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Set dotted keys in nested tables, which are made where there are none; plain dicts, or those of tomlkit.

    Raises RecipeError when a section is a value.
    """
    for key, value in changes.items():
        *sections, name = key.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, MutableMapping):
                raise RecipeError(f"{key}: {section!r} is a value, not a section", hint="name a key of a section")
        target[name] = value


def as_toml(values: Mapping[str, Any]) -> str:
    """Nested dicts of plain values as TOML; None is left out.

    >>> print(as_toml({"name": "shop", "train": {"epochs": 1, "max_pairs": None}}), end="")
    name = "shop"
    <BLANKLINE>
    [train]
    epochs = 1
    """
    import tomlkit  # only those who write need it

    return tomlkit.dumps(_without_none(values))


def as_toml_value(value: object) -> str:
    """One value in one line, as ``--set`` takes it.

    >>> as_toml_value([{"model": "bag", "api": {"endpoint": "http://localhost/v1"}}, True])
    '[{model = "bag", api = {endpoint = "http://localhost/v1"}}, true]'
    """
    return str(_in_one_line(value).as_string())


def _in_one_line(value: object) -> Any:
    import tomlkit

    match value:
        case Mapping():
            table = tomlkit.inline_table()
            table.update({key: _in_one_line(item) for key, item in value.items()})
            return table
        case list() | tuple():
            array = tomlkit.array()
            array.extend([_in_one_line(item) for item in value])
            return array
    return tomlkit.item(value)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _validated(values: Mapping[str, Any], *, source: Path | str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        said = explained(source, error, whole="recipe", is_secret=_may_be_a_key)
        raise RecipeError(said, hint="correct the key in nearer.toml or in --set") from error


def _parsed(override: str) -> dict[str, object]:
    """The key and the value of ``section.key=value``."""
    key, equals, raw = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override!r} is not key=value", hint="for example: --set train.epochs=1")
    return {key.strip(): _parse(raw.strip())}


def _parse(raw: str) -> object:
    """A TOML value; anything that is not one is a plain string, so quotes can be left out."""
    try:
        values = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    return values["value"] if len(values) == 1 else raw


def _may_be_a_key(fault: ErrorDetails) -> bool:
    """Whether a value could be a key or a password, put where it does not belong; such a text is never shown."""
    is_encoder = fault["loc"][:1] == ("encoder",) or fault["loc"][:2] == ("advise", "encoders")
    is_secret = is_encoder or fault["loc"] in (("index", "url"), ("store", "url"))
    return is_misplaced(fault) or (is_secret and isinstance(fault["input"], str | dict | list))
