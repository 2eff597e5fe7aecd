"""Names in an experiment's own claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from workflow_scripts.analysis.cut_names import CUTS

WORDS = {
    "losses": ("distilling", "contrastive"),
    "samplers": ("hard", "each-hard"),
    "cuts": CUTS,
    "domains": ("in-domain", "out-of-domain"),
}
"""Names in a claim that stand for others, or for no entry of the config."""


def claim_problems(config: Mapping) -> Iterator[str]:
    """Names in the experiment's own claims that are of nothing; the shipped ones say so in their row."""
    for name, claim in config["claims"].items():
        for number, part in enumerate(claim.get("parts", [])):
            for axis, words in WORDS.items():
                for entry in part.get(axis, {}):
                    if entry not in words and entry not in config.get(axis, {}):
                        there = ", ".join([*words, *config.get(axis, {})])
                        yield f"claims.{name}.parts.{number}.{axis}: no {entry!r} among the {axis}: there are {there}"
