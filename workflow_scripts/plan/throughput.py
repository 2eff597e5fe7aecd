"""Arithmetic of an encoder and what a device makes of it: from a bench's measurement, else from shipped figures.

Arithmetic of one sequence of n tokens, forward: ``layers (2 n (4 h^2 + 2 h f) + 4 h n^2)`` with h hidden and f
feed-forward size; training is three times that (a backward pass is two forward passes). Embedding look-ups, norms and
heads are left out, and the whole last layer is counted though the project computes it for [CLS] alone: shares of the
peak are of this arithmetic. Sequences of unequal lengths cost a little more than as many of their mean length.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.storage.errors import InputError

TRAINING_PASSES = 3
PAIR_SPECIALS, TEXT_SPECIALS = 3, 2  # [CLS] query [SEP] document [SEP]; [CLS] text [SEP]
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


@dataclass(frozen=True)
class Shape:
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
    else:
        sizes = figures["models"].get(source)
    if sizes is None:
        wanted = ", ".join(SHAPE_KEYS)
        raise InputError(f"backbones.{name}: unknown size of {source}: give {wanted} under models in --figures FILE")
    return Shape(**{key: sizes[key] for key in SHAPE_KEYS})


@dataclass(frozen=True)
class Speed:
    """Arithmetic a second that a kind of work reaches, and where the figure is from."""

    flops: float
    measured: bool
    basis: str


class Throughput:
    """Speed of each kind of :data:`BENCH_ROWS` on one device.

    ``bench``: the CSV of a bench on that device, or None for the shipped ``shares`` ("aims": those
    aimed at) of the shipped peak. What the bench did not measure is as fast as the kind that stands for it, see
    :data:`INSTEAD`. Raises :class:`InputError` for a CSV with no row to use.
    """

    def __init__(
        self, figures: Mapping, bench: str | Path | None = None, *, batch_groups: int = 8, shares: str = "shares"
    ) -> None:
        self.device = figures["device"]["name"]
        peak = figures["device"]["tflops"] * 1e12
        self._speeds = {}
        for kind in BENCH_ROWS:
            share = figures["device"][shares]["training" if "training" in kind else "scoring"]
            basis = f"{share:.0%} of {peak / 1e12:.0f} TFLOP/s, the share assumed until measured"
            self._speeds[kind] = Speed(peak * share, False, basis)
        if bench is not None:
            rows = _bench_rows(bench)
            self.device = rows[0].get("device") or f"the device of {Path(bench).name}"
            measured = _measured(rows, Path(bench), figures["bench"], batch_groups)
            for kind in BENCH_ROWS:
                stand_in = INSTEAD.get(kind, kind)
                if kind in measured or stand_in in measured:
                    self._speeds[kind] = measured.get(kind) or measured[stand_in]

    def speed(self, kind: str) -> Speed:
        """Speed of one kind of work."""
        return self._speeds[kind]


def _bench_rows(path: str | Path) -> list[dict]:
    """A bench's rows but for the peers' own. Columns: name; tflops, or shape and ours (items a second); device."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if not any(word in row["name"] for word in PEERS)]
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read as a bench's CSV ({error}): run the bench again") from None
    if not rows:
        raise InputError(f"{path} has no rows: run the bench again")
    return rows


def _measured(rows: list[dict], path: Path, texts: Mapping, batch_groups: int) -> dict[str, Speed]:
    """Speeds by kind, of the deepest model."""
    found: dict[str, tuple[tuple, Speed]] = {}
    for row in rows:
        kind = next((kind for kind, start in BENCH_ROWS.items() if row["name"].startswith(start)), None)
        flops = _row_flops(row, kind, texts) if kind else None
        if flops is None:
            continue
        rank = (_bench_shape(row).layers, -_distance(row["name"], batch_groups), flops)
        if kind not in found or rank > found[kind][0]:
            where = ", ".join(row[key] for key in ("shape", "device") if row.get(key))
            basis = f"{flops / 1e12:,.3g} TFLOP/s, measured: {row['name']}{f' ({where})' if where else ''}, {path.name}"
            found[kind] = rank, Speed(flops, True, basis)
    if not found:
        raise InputError(f"{path} has no row of {', '.join(BENCH_ROWS.values())}: run the bench again")
    return {kind: speed for kind, (_, speed) in found.items()}


def _row_flops(row: Mapping, kind: str, texts: Mapping) -> float | None:
    """Arithmetic a second of a row; None of one that tells neither its own nor its shape and items a second."""
    try:
        if row.get("tflops"):
            return float(row["tflops"]) * 1e12
        items, shape = float(row["ours"]), _bench_shape(row)
    except (KeyError, ValueError):
        return None
    query, document, group = texts["query"], texts["document"], texts["group"]
    pair, text = shape.forward(query + document + PAIR_SPECIALS), shape.forward(document + TEXT_SPECIALS)
    item = {
        "scoring": pair,
        "encoding": text,
        "CE training": TRAINING_PASSES * group * pair,
        "BE training": TRAINING_PASSES * (group * text + shape.forward(query + TEXT_SPECIALS)),
    }
    return items * item[kind] if items > 0 else None


def _bench_shape(row: Mapping) -> Shape:
    """Shape of a row, "12x768" or "12 layers/768, bf16"; feed-forward is four times hidden. BERT-base's left out."""
    named = re.match(r"(\d+)\s*(?:x|layers/)\s*(\d+)", row.get("shape") or "12x768")
    if named is None:
        raise ValueError(row["shape"])
    layers, hidden = map(int, named.groups())
    return Shape(layers, hidden, 4 * hidden, 0, 0)


def _distance(name: str, batch_groups: int) -> float:
    """How far a training row's groups a step are from the experiment's, in doublings; the usual dropout goes first."""
    groups = re.search(r"(\d+) groups", name)
    dropout = 0.5 if "dropout 0" in name and "dropout 0.1" not in name else 0.0
    return (abs(math.log2(int(groups[1]) / batch_groups)) if groups else 0.0) + dropout
