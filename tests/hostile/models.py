"""Model folders that may not be loaded: a copy of a whole one, with one thing changed."""

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.case import MODEL, Case
from hostile.model import MODULES, safetensors

Damage = Callable[[Path], None]
Row = tuple[str, Damage, str, str]

WEIGHTS = "model.safetensors"
KEEP, FOLDER, COPY, AGAIN = "keep only safetensors", "check the folder", "copy what it points to", "again"
CODE = 'import pathlib\npathlib.Path("the-code-ran").touch()\n'


class _Runs:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (CODE,)


PICKLE = pickle.dumps(_Runs(), protocol=4)


def _file(name: str, content: bytes | str) -> Damage:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def _changed(name: str, **values: Any) -> Damage:
    """Other values in a JSON file."""

    def write(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, **values}))

    return write


def _modules(**values: Any) -> Damage:
    """Another second module."""
    return _file("modules.json", json.dumps([MODULES[0], {**MODULES[1], **values}]))


def _with_code(damage: Damage) -> Damage:
    def write(folder: Path) -> None:
        (folder / "evil.py").write_text(f"{CODE}class Evil: ...\n")
        damage(folder)

    return write


def _weights(header: bytes, data: bytes = b"", *, length: int | None = None) -> Damage:
    return _file(WEIGHTS, struct.pack("<Q", len(header) if length is None else length) + header + data)


def _header(change: Callable[[dict[str, Any]], None]) -> Damage:
    """Weights whose header was changed."""

    def write(folder: Path) -> None:
        raw = (folder / WEIGHTS).read_bytes()
        [length] = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return write


def _cut(folder: Path) -> None:
    raw = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(raw[: len(raw) // 2])


def _link_to(target: str, name: str) -> Damage:
    def write(folder: Path) -> None:
        (folder / name).symlink_to(target)

    return write


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "special_tokens_map.json")


def _tokenizer(**values: Any) -> Damage:
    return _changed("tokenizer.json", **values)


def _deep(text: str) -> bytes:
    return (text * 100_000).encode()


FIRST = "embeddings.word_embeddings.weight"
MODELS: list[Row] = [
    ("pickle-by-name", _file("pytorch_model.bin", PICKLE), "pytorch_model.bin may run code", KEEP),
    ("pickle-as-text", _file("vocab.txt", PICKLE), "vocab.txt may run code", KEEP),
    ("pickle-as-weights", _file(WEIGHTS, PICKLE), f"{WEIGHTS} may run code", KEEP),
    ("numpy-objects", _file("vectors.npy", b"\x93NUMPY"), "vectors.npy may run code", KEEP),
    ("linked-folder", _link_to("/etc", "2_Dense"), "2_Dense: a link to another folder", COPY),
    ("loop", _link_to("loop", "loop"), "loop: neither a file nor a folder", "remove it"),
    ("fifo", _fifo, "special_tokens_map.json: neither a file nor a folder", "remove it"),
    ("device", _link_to("/dev/zero", "merges.txt"), "merges.txt: neither a file nor a folder", "remove it"),
    ("empty-weights", _file(WEIGHTS, b""), "not whole safetensors", AGAIN),
    ("lfs-pointer", _file(WEIGHTS, "version https://git-lfs.github.com/spec/v1\n"), "not whole safetensors", AGAIN),
    ("cut-weights", _cut, "cannot be loaded", FOLDER),
    ("huge-header", _weights(b"{}", length=2**63), "not whole safetensors", AGAIN),
    ("overlapping", _header(lambda h: h[FIRST].update(h["pooler.dense.weight"])), "cannot be loaded", FOLDER),
    ("beyond-the-end", _header(lambda h: h[FIRST].update(data_offsets=[0, 2**40])), "cannot be loaded", FOLDER),
    ("overflowing-shape", _header(lambda h: h[FIRST].update(shape=[2**62, 2**62])), "cannot be loaded", FOLDER),
    ("other-model", _file(WEIGHTS, safetensors({"evil.weight": (2, 2)})), "its files hold 4", AGAIN),
    ("more-layers", _changed("config.json", num_hidden_layers=10**9), "1000000000 layers, but", AGAIN),
    ("many-positions", _changed("config.json", max_position_embeddings=10**12), "cannot be loaded", FOLDER),
    ("config-of-lists", _changed("config.json", hidden_size=[8]), "cannot be loaded", FOLDER),
    ("config-deep", _file("config.json", _deep('{"a":')), "not JSON", AGAIN),
    (
        "remote-code",
        _with_code(_changed("config.json", model_type="evil", auto_map={"AutoModel": "evil.Evil"})),
        "cannot be loaded",
        FOLDER,
    ),
    ("code-module", _with_code(_modules(type="evil.Evil")), "cannot be loaded", FOLDER),
    ("system-module", _modules(type="os.system"), "cannot be loaded", FOLDER),
    ("function-module", _modules(type="sentence_transformers.util.http_get"), "cannot be loaded", FOLDER),
    ("module-above", _modules(path="../../etc"), "cannot be loaded", FOLDER),
    ("tokenizer-deep", _file("tokenizer.json", _deep("[")), "cannot be loaded", FOLDER),
]

CASES = [
    Case(
        name=f"model-{name}",
        content=damage,
        verb="evaluate base --set encoder.model={path}",
        code="model_refused",
        reason=reason,
        remedy=remedy,
        copy_of=MODEL,
    )
    for name, damage, reason, remedy in MODELS
]
