"""sentence-transformers on OpenVINO, in an environment of its own: optimum-intel wants an older transformers.

``CrossEncoder.predict`` and ``SentenceTransformer.encode`` as published, in the precision that is asked for and with as
many threads as the others. There is no row for its back end "onnx": no optimum-onnx works with the transformers that
sentence-transformers 6 needs.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sentence_transformers import CrossEncoder, SentenceTransformer

from bench.workers import Stopwatch, serve

BATCH = 32
PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class OpenVino:
    """The methods by name, as :class:`~bench.peers.Peers`."""

    def __init__(self, folder: str, precision: str, threads: int) -> None:
        self.folder, self.precision, self.threads = Path(folder), precision, threads
        texts = json.loads((self.folder / "texts.json").read_text())
        self.pairs = [[texts["queries"][q][1], texts["documents"][d][1]] for q, d in texts["pairs"]]
        self.ready: dict = {}

    def st_score(self, output: str | None = None) -> dict:
        """``CrossEncoder.predict``: batches of 32, sorted by the number of characters."""
        model = self._keep(CrossEncoder, "cross", output)
        return self._infer(model, lambda: model.predict(self.pairs, batch_size=BATCH), output)

    def st_encode(self, output: str | None = None) -> dict:
        """``SentenceTransformer.encode``: batches of 32, its default, sorted by the number of characters."""
        model = self._keep(SentenceTransformer, "bi", output)
        documents = [document for _, document in self.pairs]
        return self._infer(model, lambda: model.encode(documents, batch_size=BATCH), output)

    def about(self) -> dict:
        """The versions."""
        names = ("openvino", "optimum-intel", "sentence-transformers", "transformers")
        return {name: importlib.metadata.version(name) for name in names}

    def _keep(self, kind: type, name: str, output: str | None) -> object:
        """A model that lives through all rounds; the equality gate has an fp32 one of its own."""
        precision = "fp32" if output else self.precision
        if (name, precision) not in self.ready:
            options = {
                "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": 1,
            }
            given = {"export": True, "ov_config": options}
            self.ready[name, precision] = kind(str(self.folder / name), backend="openvino", model_kwargs=given)
        return self.ready[name, precision]

    def _infer(self, model: object, work: Callable[[], np.ndarray], output: str | None) -> dict:
        library = next(module for module in (model, *model) if hasattr(module, "auto_model")).auto_model
        compute, positions = library.forward, 0

        def counting(input_ids: object, *inputs: object, **named: object) -> object:
            nonlocal positions
            positions += int(np.prod(input_ids.shape))
            return compute(input_ids, *inputs, **named)

        library.forward, watch = counting, Stopwatch()
        computed = work()
        times = watch.read()
        library.forward = compute
        if output:
            np.save(output, computed)
        return times | {"items": len(self.pairs), "positions": positions}


def main() -> None:
    folder, precision, threads = sys.argv[1:]
    serve(OpenVino(folder, precision, int(threads)))


if __name__ == "__main__":
    main()
