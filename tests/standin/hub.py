"""A model hub on this machine: two tiny encoders in the published ones' files, and a server of the hub's interface."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

BERT, ELECTRA = "google-bert/bert-base-uncased", "google/electra-base-discriminator"
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}
NOT_WANTED = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
"""Weights that must not be fetched: pickles, and those of other libraries."""


def write_models(folder: Path, texts: Iterable[str], electra_revision: str, bert_revision: str = "main") -> None:
    """Write ``folder/{repository}/{revision}``: BERT's, ELECTRA's main and its revision with safetensors."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForPreTraining, ElectraConfig, ElectraForPreTraining

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(texts, vocab_size=1500, show_progress=False)
    shape = {**SHAPE, "vocab_size": tokenizer.get_vocab_size()}
    torch.manual_seed(0)
    bert = BertForPreTraining(BertConfig(**shape))
    electra = ElectraForPreTraining(ElectraConfig(**shape, embedding_size=shape["hidden_size"]))
    # The published BERT names its norms as TensorFlow did, and has the heads of its pretraining.
    names = {
        name: name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta") for name in bert.state_dict()
    }
    weights = {names[name]: each.clone() for name, each in bert.state_dict().items() if "decoder" not in name}
    for repository, revision, model, state in (
        (BERT, bert_revision, bert, weights),
        (ELECTRA, "main", electra, None),
        (ELECTRA, electra_revision, electra, {name: each.clone() for name, each in electra.state_dict().items()}),
    ):
        place = folder / repository / revision
        place.mkdir(parents=True)
        tokenizer.save(str(place / "tokenizer.json"))
        tokenizer.save_model(str(place))
        (place / "tokenizer_config.json").write_text('{"do_lower_case": true}')
        architecture = type(model).__name__.replace("BertForPreTraining", "BertForMaskedLM")
        (place / "config.json").write_text(json.dumps(model.config.to_dict() | {"architectures": [architecture]}))
        for name in NOT_WANTED:
            (place / name).write_bytes(b"not to be fetched")
        if state is not None:
            save_file(state, place / "model.safetensors", metadata={"format": "pt"})


class _Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's interface that its client asks: a model's files with their checksums, and the files."""

    protocol_version = "HTTP/1.1"
    folder: Path
    fetched: list[str]

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = unquote(urlparse(self.path).path).strip("/").split("/")
        try:
            if parts[:2] == ["api", "models"]:
                self._describe("/".join(parts[2:4]), parts[4:])
            else:
                self._send_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        except (IndexError, FileNotFoundError):
            self._answer(b'{"error": "Entry not found"}', {"X-Error-Code": "EntryNotFound"}, status=404)

    def _describe(self, repository: str, what: list[str]) -> None:
        revision = what[1] if len(what) > 1 else "main"
        place, commit = self._place(repository, revision)
        files = [_listed(path) for path in sorted(place.iterdir())]
        if what[:1] == ["tree"]:
            answer: object = [
                {"type": "file", "path": each["rfilename"], "oid": each["blobId"], **each} for each in files
            ]
        else:
            answer = {"id": repository, "modelId": repository, "sha": commit, "private": False, "siblings": files}
        self._answer(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send_file(self, repository: str, revision: str, name: str) -> None:
        place, commit = self._place(repository, revision)
        content = (place / name).read_bytes()
        self.fetched.append(f"{repository}/{name}")
        checksum = hashlib.sha256(content).hexdigest()
        self._answer(content, {"X-Repo-Commit": commit, "ETag": f'"{checksum}"', "Accept-Ranges": "bytes"})

    def _place(self, repository: str, revision: str) -> tuple[Path, str]:
        commits = {
            hashlib.sha1(path.name.encode()).hexdigest(): path.name for path in (self.folder / repository).iterdir()
        }
        name = commits.get(revision, revision)
        is_commit = len(name) == 40
        return self.folder / repository / name, name if is_commit else hashlib.sha1(name.encode()).hexdigest()

    def _answer(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _listed(path: Path) -> dict:
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = path.suffix in (".safetensors", ".bin", ".h5", ".msgpack")
    sha256 = hashlib.sha256(content).hexdigest()
    lfs = {"sha256": sha256, "oid": sha256, "size": len(content), "pointerSize": 134}
    return {"rfilename": path.name, "size": len(content), "blobId": blob, **({"lfs": lfs} if large else {})}


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the models of :func:`write_models` at the yielded address; the list grows by each file that is fetched."""
    handler = type("Hub", (_Hub,), {"folder": folder, "fetched": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.fetched
        server.shutdown()
