"""A claim's part in words: which way it came out can be read without knowing how contrasts are written."""

from __future__ import annotations

import pytest

from workflow_scripts.presentation.contrasts import contrast_in_words, directed

HARD = {"hard": 1, "random": -1}


@pytest.mark.parametrize(
    ("part", "contrast", "above", "below"),
    [
        (
            {"losses": {"distilling": 1}, "samplers": HARD},
            "hard minus random under distillation",
            "under distillation, hard negatives better than random",
            "under distillation, hard negatives worse than random",
        ),
        (
            {"losses": {"distilling": 1, "contrastive": -1}, "samplers": HARD},
            "(hard minus random) under distillation, less the same under contrastive losses",
            "hard negatives gain more over random under distillation than under contrastive losses",
            "hard negatives gain less over random under distillation than under contrastive losses",
        ),
        (
            {"cuts": {"upper": 1, "middle": -1}, "domains": {"in-domain": 1}},
            "upper minus middle in-domain",
            "in-domain, upper better than middle",
            "in-domain, upper worse than middle",
        ),
        (
            {"quantity": "entropy", "samplers": {"each-hard": 1, "random": -1.25}},
            "each-hard minus 1.25 random",
            "entropy of hard samplers above 1.25 times that of random",
            "entropy of hard samplers below 1.25 times that of random",
        ),
        (
            {"losses": {"kl": 2, "lce": -1, "ranknet": -1}, "domains": {"far": 1}},
            "2 kl minus lce minus ranknet on far",
            "2 kl minus lce minus ranknet on far above 0",
            "2 kl minus lce minus ranknet on far below 0",
        ),
        (
            {"losses": {"kl": 2, "lce": -2}, "samplers": HARD},
            "hard minus random; 2 kl minus 2 lce",
            "hard minus random; 2 kl minus 2 lce above 0",
            "hard minus random; 2 kl minus 2 lce below 0",
        ),
    ],
)
def test_a_contrast_in_words(part: dict, contrast: str, above: str, below: str) -> None:
    assert (contrast_in_words(part), directed(part, True), directed(part, False)) == (contrast, above, below)
