"""Documents' vectors, group by group: what distances in a group are measured by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.sampled_groups import SampledGroups
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

CHUNK_GROUPS = 500


class EmbeddedGroups:
    """The vectors of an embeddings artifact, memory-mapped, by document id; ``queries``: whose groups were embedded."""

    def __init__(self, manifest: str | Path) -> None:
        embedded = Artifact(manifest)
        self._vectors = np.load(embedded.file("vectors.npy"), mmap_mode="r")  # (documents, dims)
        self._rows = pd.Index(np.char.decode(np.load(embedded.file("ids.npy")), "utf-8").astype(object))
        self.queries = np.char.decode(np.load(embedded.file("queries.npy")), "utf-8").astype(object)

    def chunks(self, groups: SampledGroups) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places of some embedded queries' groups, and their vectors  # (some groups, docs, dims), chunk by chunk.

        Raises :class:`InputError` naming a query without a group or a document without a vector.
        """
        places = pd.Index(groups.query_ids).get_indexer(self.queries)
        if (places < 0).any():
            query = self.queries[(places < 0).argmax()]
            raise InputError(f"query {query} was embedded but has no group: embed the groups again")
        for start in range(0, len(places), CHUNK_GROUPS):
            chosen = places[start : start + CHUNK_GROUPS]
            wanted = groups.doc_ids[chosen]
            rows = self._rows.get_indexer(wanted.ravel())
            if (rows < 0).any():
                missing = wanted.ravel()[(rows < 0).argmax()]
                raise InputError(f"document {missing} is in a group but has no vector: embed the groups again")
            yield chosen, self._vectors[rows].reshape(*wanted.shape, -1)
