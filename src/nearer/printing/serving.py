"""Keys and backups as text."""

from nearer.core.results.releases import BackedUp, Restored
from nearer.core.results.service import KeyChange, KeyEntry, KeyList


def keys(result: KeyChange | KeyList) -> str:
    """The keys, or what was done to one; a token is shown once."""
    if isinstance(result, KeyList):
        return "\n".join(map(_line, result.entries)) or "no keys: the service listens on loopback alone"
    lines = [f"{result.action}: {_line(result.key)}"]
    if result.token:
        lines += [f"token: {result.token}", "It is shown this once. A client sends it as: Authorization: Bearer TOKEN"]
    return "\n".join(lines)


def backed_up(result: BackedUp) -> str:
    """The result of `nearer backup`."""
    size = f"{result.num_files} files, {result.num_bytes / 2**20:.1f} MB"
    lines = [f"backup: {result.file} ({size}), live: {result.release_id or 'nothing'}"]
    lines += [
        f"without the index of {space_id}, which is damaged: nearer index" for space_id in result.indexes_left_out
    ]
    return "\n".join(lines)


def restored(result: Restored) -> str:
    """The result of `nearer restore`."""
    what = f"{result.num_documents} documents, live: {result.release_id or 'nothing'}"
    lines = [f"restored {result.workspace} as it was at {result.made_at}: {what}"]
    lines += [f"the live index cannot serve ({fault}): nearer index" for fault in result.faults]
    return "\n".join(lines)


def _line(key: KeyEntry) -> str:
    rate = f", at most {key.per_minute} a minute" if key.per_minute else ""
    return f"{key.key_id}  {key.name}  ({', '.join(key.scopes)}{rate})  {key.created_at}"
