"""The JSON Schema of a document, made from its dataclasses: the contract with programs that read it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any

from lvlm_audit.document.saved import Saved

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def json_schema(kind: type[Saved]) -> dict[str, Any]:
    """The schema of one kind of document.

    Objects are open: a later minor version adds fields, and its documents are valid by this schema too.
    """
    parts: dict[str, Any] = {}
    top = _record(kind, parts)
    declared: Any = kind
    fields = {f.name: f.default for f in dataclasses.fields(declared)}
    named, major, minor = (fields[n] for n in ("schema", "schema_version", "schema_minor"))
    top["properties"] |= {
        "schema": {"const": named},
        "schema_version": {"const": major},
        "schema_minor": {"type": "integer", "minimum": 0},
    }
    top["required"] = [*top["required"], "schema", "schema_version"]
    return {
        "$schema": DIALECT,
        "title": f"{named} {major}.{minor}",
        **top,
        "$defs": dict(sorted(parts.items())),
    }


def _of(kind: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of a declared type; records and enumerations are put among the parts."""
    if kind is Any:
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (only,) = [a for a in arguments if a is not type(None)]
        return {"anyOf": [_of(only, parts), {"type": "null"}]}
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], parts)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], parts)}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    name = kind.__name__
    if name not in parts:
        parts[name] = {}
        parts[name] = (
            {"enum": [str(one) for one in kind], **_described(inspect.getdoc(kind))}
            if issubclass(kind, StrEnum)
            else _record(kind, parts)
        )
    return {"$ref": f"#/$defs/{name}"}


def _record(kind: type, parts: dict[str, Any]) -> dict[str, Any]:
    hints, texts = typing.get_type_hints(kind), field_texts(kind)
    declared: Any = kind
    fields = dataclasses.fields(declared)
    none = dataclasses.MISSING
    return {
        "type": "object",
        **_described(inspect.getdoc(kind)),
        "properties": {
            f.name: {**_of(hints[f.name], parts), **_described(texts.get(f.name))} for f in fields
        },
        "required": [f.name for f in fields if f.default is none and f.default_factory is none],
    }


def _described(text: str | None) -> dict[str, str]:
    """The text of a docstring before its sections."""
    if not text:
        return {}
    for section in ("Attributes:", "Example:"):
        text = text.partition(f"\n{section}")[0]
    return {"description": " ".join(text.split())}


@cache
def field_texts(kind: type) -> dict[str, str]:
    """The string below each field of a class, which Python itself does not keep."""
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[field.target.id] = after.value.value
    return found
