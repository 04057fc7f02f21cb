"""Checksummed folders: they get their name when they are whole, and a manifest tells later whether they still are.

What a killed process left half written has no such name; checksums find what was cut or changed since.
"""

import hashlib
import json
from pathlib import Path

from nearer.core.failpoints import failpoint
from nearer.store.files import move_into_place, write_atomic

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


def keep_checksummed(source_dir: Path, target_dir: Path) -> None:
    """Write down the SHA-256 of every file of ``source_dir``, then give it its final name in one step.

    Raises OSError; then ``target_dir`` is not there.
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        "files": {name: _digest(source_dir / name) for name in _names(source_dir)},
    }
    write_atomic(source_dir / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    failpoint("checksums.written")
    target_dir.parent.mkdir(parents=True, exist_ok=True)
    move_into_place(source_dir, target_dir)


def fault_in(folder: Path) -> str:
    """What is wrong with a checksummed folder; empty when every file is as it was, and none came or went."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format_version"] != FORMAT_VERSION:
            return f"{MANIFEST} is of format {manifest['format_version']}"
        digests = dict(manifest["files"])
        if changed := sorted(digests.keys() ^ set(_names(folder))):
            return f"{changed[0]} came or went"
        return next(
            (f"{name} is not as it was written" for name in digests if _digest(folder / name) != digests[name]), ""
        )
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        return f"{MANIFEST} is damaged"


def _names(folder: Path) -> list[str]:
    """The files below ``folder`` but the manifest, as relative paths."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in (path.relative_to(folder).as_posix() for path in paths) if name != MANIFEST]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
