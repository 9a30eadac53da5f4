"""A checkpoint is taken up if it is what was written, and else for none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from attrec.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint

WRITTEN = Checkpoint(
    {
        "network.weight": torch.tensor([[0.5, -1.0], [3.0, 2.0]]),
        "network.half": torch.tensor([1.5], dtype=torch.bfloat16),
        "network.empty": torch.zeros(0, 3),
        "optimizer.0.step": torch.tensor(7.0),
        "generator": torch.arange(9, dtype=torch.uint8),
    },
    {"steps": "7"},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "a.safetensors", "mine", WRITTEN)
    return tmp_path / "a.safetensors"


def test_what_was_written_is_read(file: Path) -> None:
    read = read_checkpoint(file, "mine")
    assert read is not None
    assert read.notes == WRITTEN.notes
    assert read.tensors.keys() == WRITTEN.tensors.keys()
    for name, tensor in WRITTEN.tensors.items():
        assert read.tensors[name].dtype == tensor.dtype
        assert torch.equal(read.tensors[name], tensor)
    assert read.part("network.").keys() == {"weight", "half", "empty"}


def test_that_of_another_training_is_none_without_a_word(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_checkpoint(file, "other") is None
    assert read_checkpoint(file.with_name("none"), "mine") is None
    assert not caplog.records


def test_no_bit_may_have_changed_and_no_byte_be_missing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        assert read_checkpoint(file, "mine") is None, place
        if place % 16 == 0:
            file.write_bytes(content[:place])
            assert read_checkpoint(file, "mine") is None, place


@pytest.mark.parametrize("lost", ["steps", "sha256", "network.weight"])
def test_one_that_lacks_something_is_none_and_that_is_told(
    file: Path, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    with safe_open(file, framework="pt") as stored:
        notes = stored.metadata()
    tensors = {name: tensor for name, tensor in WRITTEN.tensors.items() if name != lost}
    save_file(tensors, file, {key: text for key, text in notes.items() if key != lost})
    assert read_checkpoint(file, "mine") is None
    assert "is damaged: the training begins anew" in caplog.text


def test_what_stands_in_its_place_is_none(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere"))
    assert read_checkpoint(file, "mine") is None
    write_checkpoint(file, "mine", WRITTEN)
    assert read_checkpoint(file, "mine") is not None
    file.unlink()
    file.mkdir()
    assert read_checkpoint(file, "mine") is None
    assert "cannot be read" in caplog.text
