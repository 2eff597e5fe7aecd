"""Cards: what a folder holds, how it was made, from what, and whose licence that is under."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.experiment.backbone_source import is_hub_id

OWN_LICENCE = "apache-2.0"
Entry = tuple[str, str, Mapping]
"""What a thing is, such as ``corpus``, its id, and its entry in the config."""


def write_card(path: Path, template: Path, front_matter: Any, facts: Mapping) -> None:
    """Write a hub's README.md: ``front_matter`` (huggingface_hub's card data), then the template filled with ``facts``.

    ``facts["made_from"]`` is a list of :data:`Entry`; the template is given what :func:`licences` says of it too.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["plain"] = plain
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        **facts, licences=list(licences(facts["made_from"]))
    )
    path.write_text(f"---\n{front_matter.to_yaml()}\n---\n\n{text}\n", encoding="utf-8")


def plain(value: object) -> str:
    """A setting within a cell of a Markdown table."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return f"`{text.replace('|', chr(92) + '|').replace('`', chr(39))}`"


def licence(made_from: Sequence[Entry]) -> str:
    """The hub's name of the licence: the project's where it made every text itself, else ``other``."""
    return "other" if any(True for _ in licences(made_from)) else OWN_LICENCE


def licences(made_from: Sequence[Entry]) -> Iterator[str]:
    """A line for each text or model that somebody else has made, with where its licence is said."""
    seen = set()
    for what, name, entry in made_from:
        source = str(entry.get("source", ""))
        if source == "ir_datasets" and "id" in entry:
            place = f"https://ir-datasets.com/{entry['id'].split('/')[0]}.html"
            line = f"{what} {name}: `{entry['id']}` of ir_datasets, {place}"
        elif source == "files":
            files = ", ".join(f"`{entry[key]}`" for key in ("documents", "queries", "qrels") if key in entry)
            line = f"{what} {name}: {files or 'files'} of whoever ran the experiment, who has to say"
        elif what == "backbone" and source != "scratch":
            line = f"backbone {name}: `{source}`, " + (
                f"https://huggingface.co/{source}" if hub_id(entry) else "a local folder"
            )
        elif "url" in entry:
            line = f"{what} {name}: {entry['url']}"
        else:
            continue
        if line not in seen:
            seen.add(line)
            yield line


def hub_id(backbone: Mapping) -> str | None:
    """A backbone's name on the hub; None for one that was made here, or is a local folder."""
    return backbone["source"] if is_hub_id(backbone["source"]) else None
