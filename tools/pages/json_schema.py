"""JSON schemas in words."""

from collections.abc import Mapping
from typing import Any

from pages.markdown import code

_WORDS = {"integer": "whole number", "boolean": "true or false", "string": "text", "null": "null"}
_LIMITS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
    "maxLength": "of {} characters at most",
    "minItems": "{} or more",
    "maxItems": "{} at most",
}


def kind_of(schema: Mapping[str, Any], named: Mapping[str, Any], link: str = "") -> str:
    """Say in a few words what a value may be.

    Parameters
    ----------
    schema
        The schema of the value.
    named
        Schemas that it may refer to.
    link
        Where those that are objects are described, such as ``"#{}"``; they are called by their names.
    """
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if named[name].get("type") == "object" and link:
            return f"[{name}]({link.format(name.lower())})"
        return kind_of(named[name], named, link)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(each, named, link) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]).lower() if isinstance(schema["const"], bool) else str(schema["const"]))
    kind = schema.get("type", "any value")
    words = "file" if schema.get("format") == "binary" else "path" if schema.get("format") == "path" else ""
    words = words or _WORDS.get(kind, kind)
    if kind == "array":
        each = schema.get("items", schema.get("prefixItems", [{}])[0])
        words = f"list of: {kind_of(each, named, link)}"
        if "prefixItems" in schema:
            return words + f", {len(schema['prefixItems'])} of them"
    limits = [said.format(f"{schema[name]:g}") for name, said in _LIMITS.items() if name in schema]
    return " ".join([words, *limits])
