"""Configuration files merged as Snakemake merges them: ``--configfile config/demo.yaml config/study.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from workflow_scripts.storage.errors import InputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C reader takes a tenth of the time
DECIMAL = re.compile("[-+]?(0|[1-9][0-9_]*)")


def read_config(*paths: str | Path) -> dict:
    """The configuration of some files, each over those before it.

    Raises :class:`InputError` where one cannot be read, gives a key twice, or has a whole number that is no decimal.
    """
    config: dict = {}
    for path in paths:
        try:
            read = _read(Path(path))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise InputError(f"{path} cannot be read ({error}): give --configfile an experiment") from None
        if not isinstance(read, dict):
            raise InputError(f"{path} holds no experiment: give --configfile one such as config/demo.yaml")
        config = overlaid(config, read)
    return config


def _read(path: Path) -> object:
    loader = LOADER(path.read_text(encoding="utf-8"))
    try:
        root = loader.get_single_node()
        _refuse_ambiguous(root, path)
        return root and loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_ambiguous(node: yaml.Node | None, path: Path) -> None:
    """Raise :class:`InputError` where YAML's reader would choose: the last of two equal keys, 8 for 010."""
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if key.value in keys[:place]:
                raise InputError(f"{path}:{key.start_mark.line + 1}: the key {key.value} is there twice; give it once")
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.ScalarNode) and node.tag.endswith(":int") and not DECIMAL.fullmatch(node.value):
        raise InputError(
            f"{path}:{node.start_mark.line + 1}: {node.value} is no decimal number; write one, or quote it"
        )
    for child in children:
        _refuse_ambiguous(child, path)


def overlaid(config: Mapping, overlay: Mapping) -> dict:
    """``config`` with the values of ``overlay``: mappings are merged key by key, all else is replaced.

    As Snakemake's ``update_config`` has it, an empty mapping changes nothing: a list or null under it stays.
    """
    merged = dict(config)
    for key, value in overlay.items():
        under = merged.get(key)
        if not isinstance(value, Mapping):
            merged[key] = value
        elif value:
            merged[key] = overlaid(under if isinstance(under, Mapping) else {}, value)
        else:
            merged.setdefault(key, {})
    return merged
