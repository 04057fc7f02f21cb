"""``/docs``: the OpenAPI document as one page, which asks no other server for anything."""

import base64
import hashlib

from jinja2 import Environment, PackageLoader, select_autoescape

from nearer.core.results.base import JSON

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: auto; padding: 1rem; }
code { font: 0.9em ui-monospace, monospace; }
h2 code { font-size: 0.9em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #8886; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"
"""The page may use its own style, and nothing else."""

_FINE = ("200", "202")
_templates = Environment(loader=PackageLoader("nearer.web", ""), autoescape=select_autoescape(), trim_blocks=True)


def reference_page(document: JSON) -> str:
    """The page of an OpenAPI document."""
    template = _templates.get_template("reference.html")
    rows = rows_of(document)
    return template.render(
        document=document,
        operations=operations_of(document),
        schemas=document.get("components", {}).get("schemas", {}),
        rows=rows,
        style=_STYLE,
    )


def operations_of(document: JSON) -> list[JSON]:
    """Every path and method, with the names of the schemas that it is asked and answered with."""
    return [
        {
            "method": method.upper(),
            "path": path,
            "asked": _name_of(operation.get("requestBody", {})),
            "answered": next(
                (name for status in _FINE if (name := _name_of(operation["responses"].get(status, {})))), ""
            ),
            **operation,
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def rows_of(document: JSON) -> dict[str, list[JSON]]:
    """The fields of every schema: name, type, whether it is required, and meaning."""
    return {name: _fields(schema) for name, schema in document.get("components", {}).get("schemas", {}).items()}


def _name_of(part: JSON) -> str:
    """The name of the schema of a body."""
    schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _fields(schema: JSON) -> list[JSON]:
    required = schema.get("required", ())
    return [
        {"name": name, "type": _type_of(each), "required": name in required, "text": each.get("description", "")}
        for name, each in schema.get("properties", {}).items()
    ]


def _type_of(schema: JSON) -> str:
    """The type of a field in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type_of(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(str(each) for each in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "anything"))
    return f"list of {_type_of(schema['items'])}" if kind == "array" and "items" in schema else kind
