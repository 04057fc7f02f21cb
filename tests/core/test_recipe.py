import tomllib
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.errors import RecipeError
from nearer.core.recipe import Recipe, as_toml, load_recipe, with_keys

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
PLAIN = st.one_of(SCALARS, st.lists(SCALARS, max_size=4))
KEYS = st.one_of(st.sampled_from(["a", "b-1", "c_d"]), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, st.one_of(PLAIN, st.dictionaries(KEYS, PLAIN, min_size=1, max_size=3)), max_size=5))
def test_toml_round_trips(values):
    assert tomllib.loads(as_toml(values)) == values


def test_toml_of_nested_sections_none_and_what_has_no_toml():
    values = {"a": {"x": 1, "b": {"y": "]\n"}}, "empty": {}, "none": None, "only_none": {"z": None}}
    wanted = {"a": {"x": 1, "b": {"y": "]\n"}}, "empty": {}, "only_none": {}}
    assert tomllib.loads(as_toml(values)) == wanted
    with pytest.raises(ValueError, match="object"):
        as_toml({"x": object()})


def test_setting_keys_validates_and_keeps_what_was_never_set():
    recipe = load_recipe(None, overrides=("encoder.batch_size=7", 'advise.encoders=[{model = "bag"}]'))
    changed = with_keys(recipe, {"train.epochs": 2, "search.dense_weight": 0.5})
    assert (changed.train.epochs, changed.search.dense_weight) == (2, 0.5)
    assert [each.batch_size for each in changed.other_encoders.values()] == [7]
    assert with_keys(Recipe(), {}) == Recipe()
    with pytest.raises(RecipeError, match=r"train\.epochs"):
        with_keys(recipe, {"train.epochs": -1})
    with pytest.raises(RecipeError, match=r"train\.epoks: unknown key"):
        with_keys(recipe, {"train.epoks": 1})
    with pytest.raises(RecipeError, match="'epochs' is a value"):
        with_keys(recipe, {"train.epochs": 1, "train.epochs.x": 1})


def test_the_default_recipe_round_trips(tmp_path):
    path = tmp_path / "nearer.toml"
    path.write_text(as_toml(Recipe().model_dump()), encoding="utf-8")
    assert load_recipe(path) == Recipe()


@pytest.fixture
def load(tmp_path):
    def load(content="", *overrides):
        path = tmp_path / "nearer.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_recipe(path, overrides=overrides)

    return load


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("train.epochs=1", "train", "epochs", 1.0),
        ("train.epochs = 0.5", "train", "epochs", 0.5),
        ("train.learning_rate=2e-5", "train", "learning_rate", 2e-5),
        ("train.freeze_embeddings=true", "train", "freeze_embeddings", True),
        ("train.max_pairs=100", "train", "max_pairs", 100),
        ("encoder.model=./my model", "encoder", "model", "./my model"),
        ('encoder.model="quoted"', "encoder", "model", "quoted"),
        ("encoder.query_prompt=query: ", "encoder", "query_prompt", "query:"),
        ('encoder.query_prompt="query: "', "encoder", "query_prompt", "query: "),
        ("encoder.query_prompt=a=b", "encoder", "query_prompt", "a=b"),
        ("mining.margins=[0.1, -1]", "mining", "margins", (0.1, -1.0)),
        ('evaluate.slice_fields=["a", "b"]', "evaluate", "slice_fields", ("a", "b")),
        ("split.test_from=2020-01-31", "split", "test_from", "2020-01-31"),
        ("split.test_from=2020", "split", "test_from", 2020),
    ],
)
def test_set_takes_any_value_with_or_without_quotes(load, override, section, key, value):
    assert getattr(getattr(load("", override), section), key) == value


def test_set_wins_over_the_file_and_the_last_over_the_first(load):
    recipe = load("[train]\nepochs = 3\nseed = 7\n", "train.epochs=4", "train.epochs=5", "name=x")
    assert (recipe.train.epochs, recipe.train.seed, recipe.name) == (5, 7, "x")


def test_a_date_in_the_file_needs_no_quotes(load):
    recipe = load('[split]\nby = "time"\nfield = "at"\ndev_from = 2020-01-01\ntest_from = 2021-01-01T00:00:00Z\n')
    assert recipe.split.dev_from == "2020-01-01"
    assert recipe.split.test_from.startswith("2021-01-01T00:00:00")


@pytest.mark.parametrize(
    ("content", "overrides", "wanted"),
    [
        ("[train]\nepochz = 1\n", (), ["train.epochz", "unknown key", "got 1"]),
        ("[training]\nepochs = 1\n", (), ["training", "unknown key"]),
        ("[train]\nepochs = 0\n", (), ["train.epochs", "greater than 0"]),
        ("[train]\nepochs = nan\n", (), ["train.epochs"]),
        ("[gate]\nmin_gain = nan\n", (), ["gate.min_gain", "finite"]),
        ("[train]\nprecision = 'int4'\n", (), ["train.precision", "float32"]),
        ("train = 5\n", (), ["train", "got 5"]),
        ("[split]\nby = 'group'\n", (), ["split", "needs field"]),
        ("[split]\nby = 'time'\nfield = 'y'\n", (), ["dev_from and test_from"]),
        ("[split]\ndev_fraction = 0.5\ntest_fraction = 0.5\n", (), ["nothing to train on"]),
        ("a = \n", (), ["not valid TOML", "line 1"]),
        (b"name = '\xff'\n", (), ["not UTF-8", "byte 8"]),
        ("", ("train.batch_size=many",), ["train.batch_size", "'many'"]),
        ("", ("nothing.at.all=1",), ["nothing", "unknown key"]),
    ],
)
def test_errors_name_the_file_the_key_and_what_is_wrong(load, tmp_path, content, overrides, wanted):
    with pytest.raises(RecipeError) as caught:
        load(content, *overrides)
    for text in [str(tmp_path / "nearer.toml"), *wanted]:
        assert text in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("override", "wanted"), [("train.epochs", "key=value"), ("=1", "key=value"), ("name.x.y=1", "is a value")]
)
def test_a_set_that_is_no_setting_is_explained(load, override, wanted):
    with pytest.raises(RecipeError, match=wanted):
        load('name = "x"\n', override)


def test_a_byte_order_mark_is_read_over(load):
    assert load(b"\xef\xbb\xbfname = 'x'\n").name == "x"


def test_groups_to_resample_are_those_of_the_split_unless_named(load):
    assert load().group_field is None
    by_group = "[split]\nby = 'group'\nfield = 'module'\n"
    assert load(by_group).group_field == "module"
    assert load(by_group, "evaluate.group_field=topic").group_field == "topic"
    assert load("[split]\nfield = 'module'\n").group_field is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com/v1/", "https://api.openai.com/v1"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_an_endpoint_is_kept_in_one_way_of_writing(load, given, kept):
    assert load(f'[encoder.api]\nendpoint = "{given}"\n').encoder.api.endpoint == kept


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        ("api.openai.com/v1", "must be an address such as"),
        ("ftp://host/v1", "must be an address such as"),
        ("file:///etc/passwd", "must be an address such as"),
        ("http://", "must be an address such as"),
        ("http://host:port/v1", "must be an address such as"),
        ("http://[::1/v1", "must be an address such as"),
        ("https://me:sk-secret@host/v1", "no user, password"),
        ("https://host/v1?key=sk-secret", "no user, password"),
        ("https://host/v1/embeddings", "before /embeddings"),
    ],
)
def test_an_endpoint_that_cannot_be_one_is_refused_and_no_key_in_it_is_shown(load, endpoint, wanted):
    with pytest.raises(RecipeError, match=wanted) as caught:
        load("", f"encoder.api.endpoint={endpoint}")
    assert "sk-secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "content",
    [
        '[encoder.api]\nendpoint = "https://h"\nkey_env = "sk-secret"\n',
        '[encoder.api]\nendpoint = "https://h"\nkey = "sk-secret"\n',
        '[encoder.api]\nkey_env = ["sk-secret"]\n',
        '[encoder]\napi = "sk-secret"\n',
        '[encoder]\napi_key = "sk-secret"\n',
        'openai_key = "sk-secret"\n',
        '[openai]\nkey = "sk-secret"\n',
    ],
)
def test_a_key_where_it_does_not_belong_is_never_repeated(load, content):
    with pytest.raises(RecipeError) as caught:
        load(content)
    assert "sk-secret" not in "".join(traceback.format_exception(caught.value))


def test_settings_of_an_api_need_its_endpoint(load):
    with pytest.raises(RecipeError, match="max_parallel, price_per_million_tokens set without an endpoint"):
        load("[encoder.api]\nprice_per_million_tokens = 0.02\nmax_parallel = 3\n")
    assert load('[encoder.api]\nrevision = ""\n').encoder.api.endpoint is None
