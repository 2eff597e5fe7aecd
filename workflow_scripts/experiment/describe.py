"""Write what describes every setting: config/schema.json for editors, docs/configuration.md for readers.

``python -m workflow_scripts.experiment.describe`` makes both from the models of
:mod:`workflow_scripts.experiment.config` and the ``OPTIONS`` of losses and samplers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from workflow_scripts.experiment.config import Config
from workflow_scripts.experiment.functions import FOLDERS, Function, function_names, read_function
from workflow_scripts.storage.code import ROOT

LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""pydantic's limits to JSON schema's names."""
TYPES = {"whole": "integer", "number": "number", "text": "string", "texts": "array", "choice": "string"}
WORDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
HEAD = """# Settings

Made from the code by `make describe`: do not edit. An experiment is one YAML file such as
[config/demo.yaml](../config/demo.yaml), or several, each over those before it
(`--configfile config/demo.yaml config/study.yaml`): mappings are merged key by key, all else is replaced, an entry set
to `null` is taken out. *required*: has no default; *left out*: stays unset where it is not given.
"""


def descriptions() -> dict[Path, str]:
    """Path to text of each file that describes the settings."""
    schema = _standard(Config.model_json_schema(schema_generator=_WithoutTitles))
    files = {kind: {name: read_function(kind, name) for name in function_names(kind)} for kind in FOLDERS}
    options = {kind: {name: _options(each) for name, each in files[kind].items()} for kind in files}
    lines = [HEAD, *_parts(schema)]
    for kind, folder in FOLDERS.items():
        lines += [f"# Options of {kind}", "", f"Each function is a file of [{folder}](../{folder}).", ""]
        lines += itertools.chain(
            *(_table(name, files[kind][name].summary, each) for name, each in options[kind].items())
        )
    lenient = _lenient(schema)
    parts = lenient.pop("$defs")
    for kind, title in (("losses", "Loss"), ("samplers", "Sampler")):
        parts[title]["allOf"] = [_if_function(name, _lenient(each)) for name, each in options[kind].items()]
    text = f'{{\n"$defs": {{\n{_lines(parts)}\n}},\n{_lines(lenient)}\n}}\n'
    return {ROOT / "config" / "schema.json": text, ROOT / "docs" / "configuration.md": "\n".join(lines)}


class _WithoutTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _standard(schema: Any) -> Any:
    """pydantic's JSON schema, in which limits of lists' items have names of pydantic, with the standard's own."""
    if isinstance(schema, list):
        return [_standard(part) for part in schema]
    return {LIMITS.get(key, key): _standard(schema[key]) for key in schema} if isinstance(schema, dict) else schema


def _options(function: Function) -> dict:
    """JSON schema of a loss's or a sampler's options."""
    properties = {}
    for name, each in function.options.items():
        default = {"default": function.defaults[name]} if name in function.defaults else {}
        kind: dict[str, Any] = {"type": TYPES[each["type"]]}
        kind |= {"items": {"type": "string"}} if each["type"] == "texts" else {}
        kind = {"enum": each["choices"]} if "choices" in each else kind
        kind = {"anyOf": [kind, {"type": "null"}]} if default.get("default", ...) is None else kind
        limits = {LIMITS[key]: each[key] for key in LIMITS if key in each}
        within = f"; within {each['within']}" if "within" in each else ""
        unit = {"unit": each["unit"]} if "unit" in each else {}
        properties[name] = kind | limits | default | unit | {"description": each["description"] + within}
    required = [name for name in function.options if name not in function.defaults]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _if_function(name: str, options: dict) -> dict:
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
    yield from (f"## {name}", "", about, "")
    if schema["properties"]:
        yield from ("| setting | value | default | meaning |", "|--|--|--|--|")
    for key, part in sorted(schema["properties"].items(), key=lambda item: "const" not in item[1]):
        default = "*required*" if key in schema.get("required", ()) else "*left out*"
        default = f"`{json.dumps(part['default'])}`" if "default" in part else default
        unit = f", {part['unit']}" if "unit" in part else ""
        yield f"| `{key}` | {_value(part)}{unit} | {default} | {part.get('description', '')} |"
    yield from [""] if schema["properties"] else []


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


def main() -> None:
    """Write the files that differ."""
    for path, text in descriptions().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
