"""Names of the cuts of training queries, for those who need nothing else of them."""

QUARTERS = ("lower-quartile", "middle-quarter", "upper-quartile", "random-quarter")
HALVES = ("inner-quartiles", "below-median", "above-median", "random-half")
CUTS = (*QUARTERS, *HALVES, "outliers")
"""The cuts, in the order of tables."""
RANDOM = {"random-quarter": 1 / 4, "random-half": 1 / 2}
"""Cuts that no entropy decides, and their shares."""
BESIDE = {cut: part[-1] for part in (QUARTERS, HALVES) for cut in part[:-1]}
"""Cut to the random one of its size; the outliers' size is their own."""
