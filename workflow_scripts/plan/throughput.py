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
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

FIGURES = ROOT / "config" / "expected" / "throughput.yaml"
LIBRARY_KEYS = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "max_position_embeddings")
"""Fields of :class:`Shape` as a model's config.json names them."""
PEERS = ("padded", "predict")
"""In the names of a bench's rows that measure other libraries."""


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
        linear = 2 * tokens * (4 * self.hidden**2 + 2 * self.hidden * self.feed_forward)
        return self.layers * (linear + 4 * self.hidden * tokens**2)


class Speed(NamedTuple):
    """Arithmetic a second that a kind of work reaches, and in words where the figure is from."""

    flops: float
    basis: str


def read_figures(path: str | Path = FIGURES) -> dict:
    """The shipped figures or a copy of them; :class:`InputError` where it is none."""
    try:
        figures = dict(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read ({error}): give --figures a copy of {FIGURES.name}") from None
    if "rules" not in figures:
        raise InputError(f"{path} has no rules: give --figures a copy of {FIGURES.name} as it is now")
    return figures


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
            sizes = dict(zip(Shape._fields, (config[key] for key in LIBRARY_KEYS), strict=True))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"backbones.{name}: {source}/config.json does not say its sizes ({error})") from None
    elif not (sizes := figures["models"].get(source)):
        wanted = ", ".join(Shape._fields)
        raise InputError(f"backbones.{name}: unknown size of {source}: give {wanted} under models in --figures FILE")
    return Shape(**{key: sizes[key] for key in Shape._fields})


def speeds(figures: Mapping, bench: str | Path | None = None, *, batch_groups: int = 8) -> tuple[str, dict[str, Speed]]:
    """A device and its speed at each kind of work that the figures name.

    ``bench``: ``gpu.csv`` of ``make gpu-check`` on that device, or None for the shipped shares of the shipped peak.
    Kinds that it did not measure are as fast as those that stand ``instead``, or else as assumed. Raises
    :class:`InputError` for a file with no row to use.
    """
    name, peak, work = figures["device"]["name"], figures["device"]["tflops"], figures["device"]["work"]
    basis, measured = f"of {peak:.0f} TFLOP/s, the share assumed until measured", {}
    found = {kind: Speed(each["share"] * peak * 1e12, f"{each['share']:.0%} {basis}") for kind, each in work.items()}
    if bench:
        # Last the deepest model ("12 layers/768"), trained as usual: of CE training there are several rows.
        usual = f" {batch_groups} groups ", "dropout 0.1"
        rows = _bench_rows(Path(bench), tuple(each["bench"] for each in work.values()))
        rows.sort(key=lambda row: [int(row["shape"].split()[0]), *(each in row["name"] for each in usual)])
        for kind, each in work.items():
            for row in (row for row in rows if row["name"].startswith(each["bench"])):
                where = f"{row['name']} ({row['shape']}, {row['device']}), {Path(bench).name}"
                tflops = float(row["tflops"])
                measured[kind] = Speed(tflops * 1e12, f"{tflops:.3g} TFLOP/s, measured: {where}")
        name = rows[0]["device"]
    return name, {kind: measured.get(kind) or measured.get(work[kind].get("instead")) or found[kind] for kind in found}


def _bench_rows(path: Path, starts: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a bench whose names start so, but for the peers' own."""
    try:
        rows = [row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()) if row["tflops"]]
        rows = [row for row in rows if row["name"].startswith(starts)]
        rows = [row for row in rows if not any(peer in row["name"] for peer in PEERS)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as gpu.csv of make gpu-check ({error}): run it again") from None
    if not rows:
        raise InputError(f"{path} has no row of {', '.join(starts)}: run make gpu-check again")
    return rows
