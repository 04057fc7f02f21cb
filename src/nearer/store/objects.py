"""Object storage: folders of a workspace under one address, each whole before its manifest of checksums names it.

    <address>/models/<id>/<file>...        the files of a model
    <address>/models/<id>/nearer.json      the SHA-256 and the bytes of each; written last
    <address>/events/<sha256>/<file>       what was sealed of the event log: see store/events/sharing.py

Credentials come from the environment alone, as AWS's own tools read them.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from nearer.core.errors import NearerError, ServiceError, WorkspaceError
from nearer.core.extras import extra
from nearer.core.failpoints import failpoint
from nearer.store.files import inside, move_into_place, scratch_folder

if TYPE_CHECKING:
    from nearer.store.workspace import Workspace

_log = logging.getLogger(__name__)

MANIFEST = "nearer.json"
FORMAT_VERSION = 1
_CHUNK_BYTES = 2**20
_CONNECT_S, _READ_S, _ATTEMPTS = 5, 60, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a file is like: its SHA-256 and its bytes."""

    sha256: str
    bytes: int


class Objects:
    """The folders below an address of object storage.

    Raises InputError without s3fs.
    """

    def __init__(self, address: str) -> None:
        with extra("s3", used_for="store.files"):
            import s3fs

        self.address = address.rstrip("/")
        self._root = self.address.removeprefix("s3://")
        self._files: Any = s3fs.S3FileSystem(
            config_kwargs={
                "connect_timeout": _CONNECT_S,
                "read_timeout": _READ_S,
                "retries": {"max_attempts": _ATTEMPTS, "mode": "standard"},
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def push(self, folder: Path, name: str) -> bool:
        """Upload a whole folder that never changes again; whether it was not there yet.

        Each file is read back and compared before the manifest is written. Raises ServiceError, and OSError for a file
        that cannot be read here.
        """
        if self._manifest(name) is not None:
            return False
        files = {path.relative_to(folder).as_posix(): _described(path) for path in _files_in(folder)}
        with _asked(self.address):
            for file, described in files.items():
                self._files.put_file(str(folder / file), self._path(name, file))
                if self._read(name, file) != described:
                    raise self._damaged(name, file)
            failpoint("objects.files")
            described_as = {file: asdict(described) for file, described in files.items()}
            content = {"format_version": FORMAT_VERSION, "files": described_as}
            self._files.pipe_file(self._path(name, MANIFEST), json.dumps(content, indent=2).encode())
        failpoint("objects.manifest")
        return True

    def fetch(self, name: str, folder: Path) -> bool:
        """Download what was pushed as ``name`` into a new ``folder``; whether there is such a thing.

        Raises ServiceError for what is not what was uploaded, and OSError; then the folder is not there.
        """
        files = self._manifest(name)
        if files is None:
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.parent) as scratch:
            for file, described in files.items():
                target = scratch / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as copy:
                    if self._read(name, file, copy) != described:
                        raise self._damaged(name, file)
            scratch.chmod(0o755)
            move_into_place(scratch, folder)
        return True

    def remove(self, name: str) -> None:
        """Remove what was pushed as ``name``, its manifest first. Raises ServiceError."""
        with _asked(self.address):
            paths = sorted(self._files.find(f"{self._root}/{name}"), key=lambda path: not path.endswith(MANIFEST))
            for path in paths:
                self._files.rm_file(path)

    def names(self, below: str) -> list[str]:
        """The names of all objects below a name. Raises ServiceError."""
        with _asked(self.address):
            found = self._files.find(f"{self._root}/{below}")
        if not found:
            self._refuse_no_bucket()
        return [str(path).removeprefix(f"{self._root}/") for path in found]

    def get(self, name: str) -> bytes | None:
        """What one object holds, None where there is none. Raises ServiceError."""
        try:
            with _asked(self.address):
                return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Keep one object; it is there whole or not at all. Raises ServiceError."""
        with _asked(self.address):
            self._files.pipe_file(f"{self._root}/{name}", content)

    def _manifest(self, name: str) -> dict[str, Stored] | None:
        """The files that were pushed; None where nothing is. Raises ServiceError where that is damaged."""
        try:
            with _asked(self.address):
                content = self._files.cat_file(self._path(name, MANIFEST))
        except FileNotFoundError:
            self._refuse_no_bucket()
            return None
        try:
            plain = json.loads(content)
            files = {
                str(file): Stored(sha256=str(d["sha256"]), bytes=int(d["bytes"])) for file, d in plain["files"].items()
            }
            if plain["format_version"] != FORMAT_VERSION or not all(map(_is_plain, files)):
                raise ValueError("of another format")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(name, MANIFEST) from error
        return files

    def _refuse_no_bucket(self) -> None:
        bucket = self._root.partition("/")[0]
        with _asked(self.address):
            if not self._files.exists(bucket):
                raise ServiceError(
                    f"{self.address}: there is no bucket {bucket}", hint="make it, or correct store.files"
                )

    def _read(self, name: str, file: str, target: IO[bytes] | None = None) -> Stored | None:
        """What a file there is like, nothing where it is absent; its bytes are written to ``target`` too."""
        digest, num_bytes = hashlib.sha256(), 0
        try:
            for chunk in self._chunks(name, file):
                digest.update(chunk)
                num_bytes += len(chunk)
                if target:
                    target.write(chunk)
        except FileNotFoundError:
            return None
        return Stored(sha256=digest.hexdigest(), bytes=num_bytes)

    def _chunks(self, name: str, file: str) -> Iterator[bytes]:
        with _asked(self.address), self._files.open(self._path(name, file), "rb", block_size=_CHUNK_BYTES) as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk

    def _path(self, name: str, file: str) -> str:
        return f"{self._root}/{name}/{file}"

    def _damaged(self, name: str, file: str) -> ServiceError:
        return ServiceError(
            f"{self.address}/{name}/{file} is not what was uploaded",
            hint=f"remove {self.address}/{name}/{MANIFEST}; where the model is, nearer promote uploads it again",
        )


def push_models(workspace: "Workspace") -> int:
    """Upload the models and rerankers here that object storage lacks, where the recipe names one; how many.

    Raises ServiceError, and WorkspaceError for a file that cannot be read.
    """
    address = workspace.recipe.store.files
    if address is None or not workspace.models.is_dir():
        return 0
    objects = Objects(address)
    folders = [path for path in sorted(workspace.models.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    with _on_disk(workspace.models):
        return sum(objects.push(folder, f"models/{folder.name}") for folder in folders)


def try_push_models(workspace: "Workspace") -> None:
    """The same, where what was made must not be lost by it: a failure is said, and the next upload makes up for it."""
    try:
        push_models(workspace)
    except NearerError as error:
        _log.warning("%s; what was made is here, and goes there with the next model or promotion", error.message)


def model_folder(workspace: "Workspace", name: str) -> Path:
    """The folder of a model or reranker, fetched where it is in object storage alone; it may be absent.

    Raises ServiceError where that does not answer, or has something else than was uploaded; WorkspaceError where the
    disk refuses.
    """
    folder = inside(workspace.models, name)
    address = workspace.recipe.store.files
    if address is not None and not folder.is_dir():
        with _on_disk(workspace.models):
            Objects(address).fetch(f"models/{name}", folder)
    return folder


def remove_remote_model(workspace: "Workspace", name: str) -> None:
    """Remove a model from object storage, where the recipe names one. Raises ServiceError."""
    if workspace.recipe.store.files is not None:
        Objects(workspace.recipe.store.files).remove(f"models/{name}")


def storage_options() -> dict[str, str]:
    """What LanceDB does not read from the environment by itself: a server without TLS is meant where it is named."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options = {"aws_endpoint": endpoint} if endpoint else {}
    return {**options, "allow_http": "true"} if endpoint.startswith("http://") else options


_NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist", re.IGNORECASE)
_REFUSED = re.compile(r"\bstatus: 40[13]\b|Forbidden|PermissionError|AccessDenied|SignatureDoesNot|InvalidAccessKey")
_NO_KEYS = re.compile(r"NoCredentials|CredentialsError|Unable to locate credentials|CredentialProvider")


def refused(address: str, error: Exception) -> ServiceError:
    """What object storage has said, in our words: its own may hold keys."""
    text = f"{type(error).__name__} {error}"
    keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if _NO_BUCKET.search(text):
        return ServiceError(f"{address}: there is no such bucket", hint="make it, or correct store.files")
    if _REFUSED.search(text):
        hint = f"set {keys}, or AWS_PROFILE, to what may read and write there"
        return ServiceError(f"{address}: the credentials are refused", hint=hint)
    if _NO_KEYS.search(text):
        return ServiceError(f"{address}: there are no credentials", hint=f"set {keys}")
    return ServiceError(
        f"{address}: object storage does not answer ({type(error).__name__})",
        hint="repeat it; is AWS_ENDPOINT_URL right, where it is not Amazon's?",
    )


@contextmanager
def _asked(address: str) -> Iterator[None]:
    """Turn what the client raises into an error with its remedy; a FileNotFoundError of an object passes."""
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError as Refused

    try:
        yield
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise refused(address, error) from None
        raise
    except (OSError, BotoCoreError, Refused, ClientError) as error:
        raise refused(address, error) from None


@contextmanager
def _on_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "make room, or the folder writable, then repeat"
        raise WorkspaceError(f"{folder}: {error.strerror or error}", hint=hint) from error


def _files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _described(path: Path) -> Stored:
    with path.open("rb") as file:
        return Stored(sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size)


def _is_plain(name: str) -> bool:
    """Whether a name stays in its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name
