"""Build a small BERT from scratch on corpora's own text: no hub, no download."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.documents import count_documents, read_view
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.storage.tables import write_table

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from workflow_scripts.models.rankers import CrossEncoder

# More would cost memory (some 3 kB a text) and teach a model of this size nothing.
MOST_TEXTS = 100_000


@dataclass(frozen=True)
class Settings:
    """How a backbone is made: as the config describes it, and the seed of its weights and data."""

    tokenizer: Mapping
    architecture: Mapping
    pretraining: Mapping
    seed: int
    arithmetic: str = "fast"


def read_texts(corpora: Sequence[str | Path], *, most: int, seed: int) -> list[str]:
    """Titles and texts of at most ``most`` documents, drawn without replacement, in the corpora's order."""
    total = sum(map(count_documents, corpora))
    kept = np.ones(total, bool)
    if total > most:
        kept[:] = False
        kept[np.random.default_rng(derive_seed(seed, "texts")).choice(total, most, replace=False)] = True
        print(f"{most:,} of {total:,} texts are pretrained on", file=sys.stderr)
    texts, first = [], 0
    for batch in (batch for manifest in corpora for batch in read_view(manifest, "full")):
        texts += batch["text"].filter(kept[first : first + len(batch)]).to_pylist()
        first += len(batch)
    return texts


def pretrain_backbone(*, corpora: Sequence[Path], spec: Mapping, output: Path, first: Sequence[Path] = ()) -> None:
    """Write the folder of a BERT (config.json, model.safetensors, tokenizer files) and losses.parquet by step.

    ``first``: another backbone, whose tokenizer makes the token stores. Raises :class:`InputError` where that makes
    other tokens. Memory holds the texts, at most :data:`MOST_TEXTS`; bound by the encoder's products.
    """
    from workflow_scripts.backbone.pretraining import PretrainingBatches, build_backbone, pretrain
    from workflow_scripts.backbone.shared_vocabulary import refuse_other_tokens
    from workflow_scripts.backbone.vocabulary import build_tokenizer, encode
    from workflow_scripts.models.devices import best_device

    given = read_settings(Settings, spec)
    architecture, settings = given.architecture, {"removal": 0.8, **given.pretraining}
    seed = derive_seed(given.seed, "backbone")
    device = best_device().type
    texts = read_texts(corpora, most=MOST_TEXTS, seed=seed)
    tokenizer = build_tokenizer(texts, **given.tokenizer)
    refuse_other_tokens(tokenizer, output, first)
    vocabulary = tokenizer.get_vocab_size()
    # [CLS], two [SEP] and up to four words stand beside the text.
    encoded = [text for text in encode(tokenizer, texts, architecture["positions"] - 7) if len(text)]
    if not 4 <= settings["batch"] <= 2 * len(encoded):
        raise InputError(f"backbone: a batch has 4 to {2 * len(encoded)} pairs here, not {settings['batch']}")
    model = build_backbone(encoded, architecture, vocabulary=vocabulary, seed=seed)
    weights = sum(parameter.numel() for parameter in model.parameters())
    print(f"{len(encoded)} texts, {vocabulary} vocabulary entries, {weights} weights", file=sys.stderr)
    sampling = {name: settings[name] for name in ("batch", "removal", "steps")}
    batches = PretrainingBatches(encoded, vocabulary=vocabulary, seed=seed, **sampling)
    optimisation = {name: settings[name] for name in ("steps", "learning_rate", "mlm_weight")}
    losses = pretrain(model, batches, device=device, **optimisation)
    with ArtifactWriter(output, kind="backbones", spec=spec, seed=given.seed, device=device) as artifact:
        _write(artifact, model, tokenizer, losses)
        artifact.counts |= {"texts": len(encoded), "vocabulary": vocabulary, "weights": weights}


def _write(
    artifact: ArtifactWriter, model: CrossEncoder, tokenizer: Tokenizer, losses: Sequence[tuple[float, float]]
) -> None:
    import pyarrow as pa

    from workflow_scripts.backbone.vocabulary import save_tokenizer
    from workflow_scripts.models.rankers import save_ranker

    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder), positions=model.longest)
        save_ranker(model, artifact.path("config.json").parent, folder)
    schema = pa.schema([("step", pa.int32()), ("masked_token_loss", pa.float32()), ("next_segment_loss", pa.float32())])
    columns = {
        "step": range(1, len(losses) + 1),
        "masked_token_loss": [masked for masked, _ in losses],
        "next_segment_loss": [belongs for _, belongs in losses],
    }
    write_table(artifact.path("losses.parquet"), columns, schema)


if __name__ == "__main__":
    # Learning word pieces in several threads could order ties differently from run to run.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run(pretrain_backbone)
