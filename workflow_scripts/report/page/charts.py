"""Geometry of the page's pictures: axes, dots with intervals, lines. The template turns it into SVG.

SVG in the page, not a charting library in the browser: readable without JavaScript, a page policy that allows no
evaluated code, and a megabyte less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

MARKERS = ("circle", "square", "triangle", "diamond", "down", "plus", "cross")


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels; ``start`` may lie right of or below ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    label: str = ""

    @classmethod
    def around(
        cls,
        values: Iterable[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        label: str = "",
        room: float = 0.04,
    ) -> Axis:
        """An axis that holds all finite (with ``log`` positive) values with some ``room`` on both sides."""
        finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if log:
            low, high = math.log10(low), math.log10(high)
        space = (high - low) * room if high > low else abs(high) * 0.05 or 0.5
        low, high = low - space, high + space
        return cls(10**low if log else low, 10**high if log else high, start, end, log, label)

    def at(self, value: float) -> float:
        """Pixel of a value, to a tenth."""
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Pixel and text of each tick."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        room = max(2, int(abs(self.end - self.start) // 45))
        if self.log:
            decades = math.log10(self.high / self.low)
            locator = LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=room + 2)
        else:
            locator = MaxNLocator(nbins=room, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
        inside = [value for value in locator.tick_values(self.low, self.high) if self.low <= value <= self.high]
        return [(self.at(value), tick_text(value)) for value in inside]


def tick_text(value: float) -> str:
    """A tick's number as short as it reads: 0.45, 20, 1e-05."""
    return f"{value:.6g}".replace("-", "−")


@dataclass(frozen=True)
class Mark:
    """A dot with what a reader sees of it on hovering: ``title`` and lines of ``details``; ``series`` is its colour.

    ``hollow``: what its ``size`` stands for is not known.
    """

    x: float
    y: float
    series: int
    title: str
    details: Sequence[str] = ()
    low: float | None = None
    high: float | None = None
    marker: str = MARKERS[0]
    label: str = ""
    size: float = 5
    hollow: bool = False


@dataclass(frozen=True)
class Line:
    """A path through points; ``points`` is the attribute of an SVG polyline, ``series`` None the teacher's look.

    ``fit``: 0 for a line that was measured, else which of the curves that are fitted to it.
    """

    points: str
    series: int | None
    title: str
    fit: int = 0


@dataclass(frozen=True)
class Chart:
    """A picture: its box in pixels, axes, marks and lines, and the sentences above and below it."""

    title: str
    width: int
    height: int
    x: Axis
    y: Axis
    marks: Sequence[Mark] = ()
    lines: Sequence[Line] = ()
    note: str = ""


def polyline(x: Axis, y: Axis, xs: np.ndarray, ys: np.ndarray, most: int = 160) -> str:
    """Points of a line, thinned to ``most``, gaps left out."""
    keep = np.isfinite(ys) & ((ys > 0) | (not y.log)) & ((xs > 0) | (not x.log))
    xs, ys = xs[keep], ys[keep]
    chosen = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), most)).astype(int)) if len(xs) else []
    return " ".join(f"{x.at(xs[place])},{y.at(ys[place])}" for place in chosen)
