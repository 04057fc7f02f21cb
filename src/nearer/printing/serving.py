"""Keys as text."""

from nearer.core.results.service import KeyChange, KeyEntry, KeyList


def keys(result: KeyChange | KeyList) -> str:
    """The keys, or what was done to one; a token is shown once."""
    if isinstance(result, KeyList):
        return "\n".join(map(_line, result.entries)) or "no keys: the service listens on loopback alone"
    lines = [f"{result.action}: {_line(result.key)}"]
    if result.token:
        lines += [f"token: {result.token}", "It is shown this once. A client sends it as: Authorization: Bearer TOKEN"]
    return "\n".join(lines)


def _line(key: KeyEntry) -> str:
    rate = f", at most {key.per_minute} a minute" if key.per_minute else ""
    return f"{key.key_id}  {key.name}  ({', '.join(key.scopes)}{rate})  {key.created_at}"
