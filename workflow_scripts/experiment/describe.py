"""Write what describes every setting: config/schema.json for editors, docs/configuration.md for readers.

``python -m workflow_scripts.experiment.describe`` makes both from the models of
:mod:`workflow_scripts.experiment.config` and the ``OPTIONS`` of losses and samplers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.experiment.code import ROOT
from workflow_scripts.experiment.config import Config
from workflow_scripts.experiment.functions import FOLDERS, Function, function_names, read_function
from workflow_scripts.experiment.options import rule

LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""pydantic's limits to JSON schema's names."""
JSON_TYPES = {"whole": "integer", "number": "number", "choice": "string", "text": "string", "texts": "array"}
WORDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
HEAD = """# Settings

Made from the code by `make describe`: do not edit. An experiment is one YAML file such as
[config/demo.yaml](../config/demo.yaml), or several, each over those before it
(`--configfile config/demo.yaml config/study.yaml`): mappings are merged key by key, all else is replaced, an entry set
to `null` is taken out. *required*: has no default; *left out*: stays unset where it is not given.
"""


def descriptions() -> dict[Path, str]:
    """Path to text of each file that describes the settings."""
    functions = {
        kind: {name: read_function(kind, name) for name in function_names(kind)} for kind in ("losses", "samplers")
    }
    schema = _plain(Config.model_json_schema())
    lenient = _lenient(schema)
    parts = lenient.pop("$defs")
    for kind, title in (("losses", "Loss"), ("samplers", "Sampler")):
        parts[title]["allOf"] = [_options_of(name, each) for name, each in functions[kind].items()]
    lines = [f'"$defs": {{\n{_lines(parts)}\n}}', _lines(lenient)]
    return {
        ROOT / "config" / "schema.json": "{\n" + ",\n".join(lines) + "\n}\n",
        ROOT / "docs" / "configuration.md": "\n".join([HEAD, *_parts(schema), *_functions(functions)]),
    }


def _plain(schema: Any) -> Any:
    """pydantic's JSON schema with standard names of limits, without titles made of the keys."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = schema.get("type") == "object" and "properties" in schema
    kept = {key: part for key, part in schema.items() if named or key != "title" or not isinstance(part, str)}
    return {LIMITS.get(key, key) if not isinstance(part, dict) else key: _plain(part) for key, part in kept.items()}


def _options_of(name: str, function: Function) -> dict:
    """If an entry has this function, then its options are these."""
    properties = {}
    for option, each in function.options.items():
        limits = {LIMITS[key]: each[key] for key in LIMITS if key in each}
        kind = JSON_TYPES[each["type"]]
        choices = {"enum": each["choices"]} if "choices" in each else {}
        default = function.defaults.get(option, ...)
        types = {"type": [kind, "null"] if default is None else kind} | ({} if default is ... else {"default": default})
        properties[option] = {**types, **limits, **choices, "description": each["description"]}
    options = {"type": "object", "additionalProperties": False, "properties": properties}
    chosen = {"properties": {"function": {"const": name}}, "required": ["function"]}
    return {"if": chosen, "then": {"properties": {"options": options}}}


def _lines(schema: Mapping) -> str:
    """A line for each entry, so that a change is a line in a diff."""
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(part)}" for key, part in schema.items())


def _lenient(schema: Any) -> Any:
    """The schema as it holds of overlays too: nothing is required, an entry may be null."""
    if isinstance(schema, list):
        return [_lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {}
    for key, part in schema.items():
        if key == "patternProperties":
            part = {pattern: {"anyOf": [entry, {"type": "null"}]} for pattern, entry in part.items()}
        if key not in ("required", "discriminator"):
            changed["anyOf" if key == "oneOf" else key] = _lenient(part)
    return changed


def _parts(schema: dict) -> Iterator[str]:
    """A table of each part, the whole experiment first, the others in the order in which they are met."""
    yield from _table("Experiment", "The top level.", schema)
    met = list(_references(schema["properties"]))
    for name in met:
        part = schema["$defs"][name]
        met.extend(other for other in _references(part) if other not in met)
        yield from _table(name, part.get("description", ""), part)


def _references(schema: Any) -> Iterator[str]:
    """Names of the parts that a schema refers to, each once."""
    found: dict[str, None] = {}
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        found |= dict.fromkeys(_references(part))
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        found[schema["$ref"].rsplit("/", 1)[1]] = None
    yield from found


def _table(name: str, about: str, schema: Mapping) -> Iterator[str]:
    yield from (f"## {name}", "", about, "", "| setting | value | default | meaning |", "|--|--|--|--|")
    for key, part in sorted(schema["properties"].items(), key=lambda item: "const" not in item[1]):
        default = "*required*" if key in schema.get("required", ()) else "*left out*"
        if "default" in part:
            default = f"`{json.dumps(part['default'])}`"
        unit = f", {part['unit']}" if "unit" in part else ""
        yield f"| `{key}` | {_value(part)}{unit} | {default} | {_escaped(part.get('description', ''))} |"
    yield ""


def _value(schema: Mapping) -> str:
    """What a value must be, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(map(_value, choices))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list: {_value(schema['items'])}"
    if schema.get("type") == "object":
        entries = list(schema.get("patternProperties", {}).values())
        return f"id to {_value(entries[0])}" if entries else "mapping"
    if str(schema.get("pattern", "")).startswith("^[a-z0-9]+(-"):
        return "id"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{text} {schema[key]:g}" for key, text in words.items() if key in schema]
    return ", ".join([WORDS[schema["type"]], *limits])


def _functions(functions: Mapping[str, Mapping[str, Function]]) -> Iterator[str]:
    """Each loss and sampler with a table of its options."""
    for kind, each in functions.items():
        yield from (f"## Options of {kind}", "", f"A function a file of [{FOLDERS[kind]}](../{FOLDERS[kind]}).", "")
        for name, function in each.items():
            yield from (f"### {name}", "", function.summary, "")
            if function.options:
                yield from ("| option | value | default | meaning |", "|--|--|--|--|")
            for option, described in function.options.items():
                unit = f", {described['unit']}" if "unit" in described else ""
                within = f"; within {described['within']}" if "within" in described else ""
                default = f"`{json.dumps(function.defaults[option])}`" if option in function.defaults else "*required*"
                about = _escaped(described["description"])
                yield f"| `{option}` | {rule(described)}{unit}{within} | {default} | {about} |"
            yield from [""] if function.options else []


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the files that differ."""
    for path, text in descriptions().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
