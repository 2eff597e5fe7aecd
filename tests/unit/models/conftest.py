"""Model folders made from small configurations."""

import pytest
import torch
from small_models import library_twin


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def saved(tmp_path):
    """Save a random library model and say where."""

    def save(config, architecture):
        folder = tmp_path / f"{config['model_type']}-{architecture}"
        library_twin(config, architecture).save_pretrained(folder)
        return folder

    return save
