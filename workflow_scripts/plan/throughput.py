"""Arithmetic of an encoder and what a device makes of it: from a bench's measurement, else from shipped figures.

Arithmetic of one sequence of n tokens, forward: ``layers (2 n (4 h^2 + 2 h f) + 4 h n^2)`` with h hidden and f
feed-forward size; training is three times that. Embedding look-ups, norms and heads are left out, and the whole last
layer is counted though the project computes it for [CLS] alone: shares of the peak are of this arithmetic. Sequences of
unequal lengths cost a little more than as many of their mean length.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.storage.errors import InputError

SHAPE_KEYS = ("layers", "hidden", "feed_forward", "vocabulary", "positions")
LIBRARY_KEYS = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "max_position_embeddings")
# Kind of work to the start of a bench's row: of CE training there are several, by groups a step and dropout.
BENCH_ROWS = {
    "scoring": "scoring pairs/s",
    "encoding": "BE encoding passages/s",
    "CE training": "CE training groups/s",
    "BE training": "BE training groups/s",
}
INSTEAD = {"encoding": "scoring", "BE training": "CE training"}
"""The kind whose speed stands for one that was not measured."""
PEERS = ("padded", "predict")


class Shape(NamedTuple):
    """Sizes of an encoder; ``positions``: its longest sequence in tokens."""

    layers: int
    hidden: int
    feed_forward: int
    vocabulary: int
    positions: int

    @property
    def parameters(self) -> int:
        """Weights of BERT with its pooler and one output, biases and norms included."""
        hidden = self.hidden
        layer = 4 * hidden**2 + 2 * hidden * self.feed_forward + self.feed_forward + 9 * hidden
        embeddings = (self.vocabulary + self.positions + 2 + 2) * hidden
        return self.layers * layer + embeddings + hidden**2 + hidden + hidden + 1

    def forward(self, tokens: float) -> float:
        """Floating-point operations of a forward pass over one sequence."""
        hidden = self.hidden
        linear = 2 * tokens * (4 * hidden**2 + 2 * hidden * self.feed_forward)
        return self.layers * (linear + 4 * hidden * tokens**2)


class Speed(NamedTuple):
    """Arithmetic a second that a kind of work reaches, and in words where the figure is from."""

    flops: float
    basis: str


def read_figures(path: str | Path) -> dict:
    """The figures of ``config/expected/throughput.yaml`` or a copy; :class:`InputError` where it cannot be read."""
    try:
        figures = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(figures, dict):
            raise InputError(f"{path} holds no figures: start from a copy of config/expected/throughput.yaml")
        return figures
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read ({error}): give --figures a copy of throughput.yaml") from None


def backbone_shape(name: str, backbone: Mapping, figures: Mapping) -> Shape:
    """Shape of a backbone: from the config (scratch), its folder, or the figures of known hub ids.

    Raises :class:`InputError` asking for the sizes of any other.
    """
    source = backbone["source"]
    if source == "scratch":
        sizes = {"vocabulary": backbone["tokenizer"]["size"], **backbone["architecture"]}
    elif folder := local_folder(source):
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            sizes = dict(zip(SHAPE_KEYS, (config[key] for key in LIBRARY_KEYS), strict=True))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"backbones.{name}: {source}/config.json does not say its sizes ({error})") from None
    elif not (sizes := figures["models"].get(source)):
        wanted = ", ".join(SHAPE_KEYS)
        raise InputError(f"backbones.{name}: unknown size of {source}: give {wanted} under models in --figures FILE")
    return Shape(**{key: sizes[key] for key in SHAPE_KEYS})


def speeds(figures: Mapping, bench: str | Path | None = None, *, batch_groups: int = 8) -> tuple[str, dict[str, Speed]]:
    """A device and its speed at each kind of :data:`BENCH_ROWS`.

    ``bench``: ``gpu.csv`` of ``make gpu-check`` on that device, or None for the shipped shares of the shipped peak.
    Kinds that it did not measure are as fast as those of :data:`INSTEAD`, or else as assumed. Raises
    :class:`InputError` for a file with no row to use.
    """
    device, peak = figures["device"], figures["device"]["tflops"] * 1e12
    shares = {kind: device["shares"]["training" if "training" in kind else "scoring"] for kind in BENCH_ROWS}
    found = {
        kind: Speed(peak * share, f"{share:.0%} of {peak / 1e12:.0f} TFLOP/s, the share assumed until measured")
        for kind, share in shares.items()
    }
    if bench is None:
        return device["name"], found
    rows = _bench_rows(Path(bench))
    measured: dict[str, Speed] = {}
    usual = f" {batch_groups} groups ", "dropout 0.1"
    for kind, start in BENCH_ROWS.items():
        if own := [row for row in rows if row["name"].startswith(start)]:
            row = max(own, key=lambda row: (_layers(row), *(part in row["name"] for part in usual)))
            where = f"{row['name']} ({row['shape']}, {row['device']}), {Path(bench).name}"
            measured[kind] = Speed(
                float(row["tflops"]) * 1e12, f"{float(row['tflops']):.3g} TFLOP/s, measured: {where}"
            )
    for kind in found:
        found[kind] = measured.get(kind) or measured.get(INSTEAD.get(kind, kind)) or found[kind]
    return rows[0]["device"], found


def _bench_rows(path: Path) -> list[dict[str, str]]:
    """A bench's rows of :data:`BENCH_ROWS` but for the peers' own."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["name"].startswith(tuple(BENCH_ROWS.values()))]
            rows = [row for row in rows if row["tflops"] and not any(word in row["name"] for word in PEERS)]
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as gpu.csv of make gpu-check ({error}): run it again") from None
    if not rows:
        raise InputError(f"{path} has no row of {', '.join(BENCH_ROWS.values())}: run make gpu-check again")
    return rows


def _layers(row: Mapping[str, str]) -> int:
    """Layers of the model that a row measured: of "12 layers/768"."""
    return int(row["shape"].split()[0])
