"""Configurations of small encoders, and the library's models of them."""

import torch
import transformers

SMALL = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,  # wide, so that scores differ by far more than the tolerance
}


CONFIGS = {
    "bert": SMALL | {"model_type": "bert"},
    "electra": SMALL | {"model_type": "electra", "embedding_size": 16},
    "roberta": SMALL | {"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    "distilbert": {
        "model_type": "distilbert",
        "vocab_size": 120,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 48,
        "max_position_embeddings": 40,
        "initializer_range": 0.3,
    },
}


def library_twin(config, architecture, folder=None):
    """The library's model, random from a fixed seed or loaded from ``folder``."""
    kind = (
        transformers.AutoModelForSequenceClassification if architecture == "cross-encoder" else transformers.AutoModel
    )
    if folder is not None:
        return kind.from_pretrained(folder)
    torch.manual_seed(11)
    return kind.from_config(transformers.AutoConfig.for_model(**config, num_labels=1))
