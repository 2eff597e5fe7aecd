"""Tables of several kinds of rows, which the column ``scope`` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd


def stack_scopes(frames: Mapping[str, pd.DataFrame], columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """The frames below one another with their ``scope`` first, as ``columns``.

    What a frame lacks is an empty text in the columns ``texts``, else NaN (n_seeds and n_queries are integers or NA).
    """
    kept = [
        frame.assign(scope=scope)[[name for name in columns if name == "scope" or name in frame.columns]]
        for scope, frame in frames.items()
        if not frame.empty
    ]
    # A column without any value would decide the type of the whole.
    table = pd.concat([frame.dropna(axis="columns", how="all") for frame in kept]).reindex(columns=list(columns))
    table[list(texts)] = table[list(texts)].fillna("")
    return table.astype({"n_seeds": "Int64", "n_queries": "Int64"}).reset_index(drop=True)
