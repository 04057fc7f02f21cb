"""Ids made from content, the same on every machine."""

import hashlib
import json


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal values give equal text.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_id(prefix: str, value: object, *, num_hex: int = 16) -> str:
    """``prefix-`` and the first ``num_hex`` hex digits of SHA-256 over the canonical JSON of ``value``.

    >>> content_id("model", {"a": 1})
    'model-015abd7f5cc57a2d'
    """
    digest = hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
    return f"{prefix}-{digest[:num_hex]}"


def text_hash(text: str) -> str:
    """SHA-256 of a text, 32 hex digits (128 bits).

    >>> text_hash("rain")
    '319b44c570a417ff3444896cd4aa77f0'
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
