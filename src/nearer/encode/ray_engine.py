"""Texts encoded on the machines of a Ray cluster, by Ray Data: a block at a time, whatever becomes of the others.

Each worker holds a copy of the encoder, which it is sent. Nothing else of a workspace leaves this process: what comes
back is kept in the cache here, block by block, as if it had been encoded here.

Arrays: B texts of a block, D dimensions.
"""

import logging
import os
import shutil
import socket
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa

from nearer.core.arrays import Floats32
from nearer.core.errors import InputError, ModelRefused, NearerError, ServiceError
from nearer.core.extras import extra
from nearer.core.progress import Progress
from nearer.encode.encoder import Encoder, EncoderSettings, Side

PACKAGES = ("nearer", "ray", "torch", "transformers", "sentence-transformers", "numpy")
"""What must be the same on all machines, so that vectors are."""
_MOST_DEATHS = 3
"""Times that a worker is begun again, and that a block is tried again after one died. Our rule."""
_PATIENCE_S = 10.0
_OVERHEAD_BYTES = 2**30
"""Of a worker beside two copies of its model: the libraries, and what a batch takes."""


class _Node(TypedDict):
    """A machine, as Ray tells of it."""

    NodeID: str
    Alive: bool
    Resources: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declared:
    """What a worker is to load: the id of an encoder, and what makes it of its files."""

    encoder_id: str
    settings: EncoderSettings
    batch_size: int


@contextmanager
def on_ray(progress: Progress) -> Iterator[None]:
    """Be connected to Ray within: to the cluster that is known here (RAY_ADDRESS, or begun on this machine), else here.

    Raises InputError where Ray is not installed, or machines have other packages; ServiceError where the cluster
    cannot be reached.
    """
    with extra("ray", used_for="--engine ray"):
        import ray
        import ray.data
    is_ours, log = not ray.is_initialized(), logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    if is_ours:
        _connect()
    try:
        _refuse_other_packages()
        found = ray.cluster_resources()
        devices = ", ".join(f"{found.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
        progress.say(f"Ray: {_number(len(_nodes()), 'machine')}, {devices}")
        yield
    finally:
        log.setLevel(level)
        if is_ours:
            ray.shutdown()


def encode_blocks(encoder: Encoder, side: Side, blocks: Sequence[Sequence[str]]) -> Iterator[tuple[int, Floats32]]:
    """The number of each block and the vectors of its texts, shape (B, D), in the order in which they are done.

    A block whose worker died is done again by another. Raises ServiceError when workers die again and again,
    ModelRefused when a worker makes another encoder of what it is sent.
    """
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    files = _files_of(encoder)
    kept = ray.put(files)  # for as long as workers may begin anew
    kind = "GPU" if ray.cluster_resources().get("GPU", 0) >= 1 else "CPU"
    most = min(int(ray.cluster_resources().get(kind, 1)), len(blocks))
    memory = 2 * sum(map(len, files.values())) + _OVERHEAD_BYTES
    _refuse_small_machines(memory)
    tables = [pa.table({"block": [number], "texts": [list(block)]}) for number, block in enumerate(blocks)]
    with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):  # how often to restart has no other way
        made = ray.data.from_arrow(tables).map_batches(
            _Worker,
            fn_constructor_kwargs={"files": kept, "declared": _declared(encoder), "side": side},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, most)),
            num_cpus=1,
            num_gpus=1 if kind == "GPU" else None,
            memory=memory,
            max_restarts=_MOST_DEATHS,
            max_task_retries=_MOST_DEATHS,
        )
    with _explained():
        for batch in made.iter_batches(batch_size=None, batch_format="pyarrow"):
            for number, content, refused in zip(*(each.to_pylist() for each in batch.columns), strict=True):
                if refused:
                    raise ModelRefused(refused, hint="encode here, without --engine ray; and please report this")
                yield number, np.frombuffer(content, np.float32).reshape(len(blocks[number]), -1)


class _Worker:
    """An encoder on a machine of the cluster, loaded for its first block. What it refuses is an answer too."""

    def __init__(self, files: Any, declared: _Declared, side: Side) -> None:
        self._given = files, declared
        self._side = side
        self._encoder: Encoder | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The vectors of the texts of blocks, or why there are none."""
        try:
            self._encoder = encoder = self._encoder or _load(*self._given)
            encode = encoder.encode_queries if self._side == "queries" else encoder.encode_documents
            made = [encode(texts).tobytes() for texts in batch["texts"].to_pylist()]
        except NearerError as error:
            return pa.table(
                {"block": batch["block"], "vectors": [b""] * len(batch), "refused": [error.message] * len(batch)}
            )
        return pa.table({"block": batch["block"], "vectors": made, "refused": [""] * len(batch)})


def _load(files: Any, declared: _Declared) -> Encoder:
    import ray

    folder = Path(tempfile.mkdtemp(prefix="nearer-encoder-"))
    try:
        for name, content in ray.get(files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        encoder = Encoder.load(str(folder), **asdict(declared.settings), batch_size=declared.batch_size)
    finally:
        shutil.rmtree(folder)
    if encoder.encoder_id != declared.encoder_id:
        raise ModelRefused(f"a worker makes {encoder.encoder_id} of the files of {declared.encoder_id}")
    return encoder


def _files_of(encoder: Encoder) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as name:
        encoder.save(Path(name))
        return {str(path.relative_to(name)): path.read_bytes() for path in Path(name).rglob("*") if path.is_file()}


def _declared(encoder: Encoder) -> _Declared:
    return _Declared(encoder_id=encoder.encoder_id, settings=encoder.settings, batch_size=encoder.batch_size)


def _connect() -> None:
    import ray

    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_BACKEND_LOG_LEVEL", "fatal")):
        os.environ.setdefault(name, value)
    try:
        host, _, port = os.environ.get("RAY_ADDRESS", "").removeprefix("ray://").rpartition(":")
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ServiceError(
            f"the Ray cluster cannot be used: {str(error).strip().splitlines()[0]}",
            hint="see: ray status; RAY_ADDRESS is the address; Python and Ray must be those of the cluster",
        ) from error


def _nodes() -> list[_Node]:
    import ray

    return [each for each in ray.nodes() if each["Alive"] and each["Resources"].get("CPU")]


def _refuse_small_machines(memory: int) -> None:
    """Raises InputError when no machine has so many bytes of memory: Ray would wait for one."""
    if (most := max((each["Resources"].get("memory", 0) for each in _nodes()), default=0)) < memory:
        raise InputError(
            f"a worker with this model needs {memory / 2**30:.1f} GB, and no machine of the Ray cluster has more than "
            f"{most / 2**30:.1f} GB",
            hint="add a larger machine, or encode here, without --engine ray",
        )


def _refuse_other_packages() -> None:
    """Raises InputError when a machine of the cluster has other versions than this one, naming each."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def look(packages: Sequence[str]) -> tuple[str, dict[str, str]]:  # nothing of ours is imported there for it
        import importlib.metadata
        import socket

        found = {}
        for package in packages:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = "none"
        return socket.gethostname(), found

    task = ray.remote(num_cpus=0)(look)
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(PACKAGES)
        for node in _nodes()
    ]
    with _explained():
        answers = ray.get(asked)
    own = {package: version(package) for package in PACKAGES}
    others = Counter(
        f"{host} has {package} {found[package]}, here it is {own[package]}"
        for host, found in answers
        for package in PACKAGES
        if found[package] != own[package]
    )
    if others:
        raise InputError(
            f"machines of the Ray cluster have other packages, so vectors might differ: {'; '.join(others)}",
            hint="install the versions of this machine there, then repeat the command",
        )


@contextmanager
def _explained() -> Iterator[None]:
    """Raises ServiceError for what befell Ray, or a worker."""
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ServiceError(
            f"Ray gave up: {lines[-1] if isinstance(error, RayTaskError) else lines[0]}",
            hint="see that workers have enough memory (ray status); then repeat the command: what was encoded is kept",
        ) from error


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
