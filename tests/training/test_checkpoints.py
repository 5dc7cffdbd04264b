"""Checkpoints: whole or not there; damaged ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from isrf.core.errors import IsrfError
from isrf.training import checkpoints
from isrf.training.checkpoints import STATE, TENSORS, Progress, load_checkpoint, save_checkpoint


def made(seed: int = 0, width: int = 3) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A small model after two steps, so that the optimizer has a state."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Linear(width, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    return model, optimizer


def best_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach() * 2 for k, v in model.state_dict().items()}


def saved(folder: Path, epoch: int = 1, seed: int = 0) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model, optimizer = made(seed)
    save_checkpoint(folder, model, best_of(model), optimizer, Progress(epoch, 1, 0.25, [{"epoch": 1, "loss_sr": 2.5}]))
    return model, optimizer


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimizer = saved(tmp_path / "checkpoint", epoch=3)
    other, other_optimizer = made(seed=1)
    restored = load_checkpoint(tmp_path / "checkpoint", other, other_optimizer)
    assert restored is not None
    best, progress = restored
    assert progress == Progress(3, 1, 0.25, [{"epoch": 1, "loss_sr": 2.5}])
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value) and torch.equal(best[name], value * 2)
    for m, o in ((model, optimizer), (other, other_optimizer)):  # the next step is the same to the last bit
        o.zero_grad()
        m(torch.ones(2, 4)).sum().backward()
        o.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint", *made()) is None


def test_nothing_of_a_write_is_left_beside_the_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoint")
    saved(tmp_path / "checkpoint", epoch=2)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]
    assert {p.name for p in (tmp_path / "checkpoint").iterdir()} == {TENSORS, STATE}


def test_a_write_that_fails_half_way_leaves_the_checkpoint_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "checkpoint", epoch=1)

    def full_disk(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full_disk)
        with pytest.raises(OSError, match="No space"):
            saved(tmp_path / "checkpoint", epoch=2)
    restored = load_checkpoint(tmp_path / "checkpoint", *made())
    assert restored is not None and restored[1].epoch == 1
    saved(tmp_path / "checkpoint", epoch=2)  # and the half one is no obstacle
    restored = load_checkpoint(tmp_path / "checkpoint", *made())
    assert restored is not None and restored[1].epoch == 2


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoint", epoch=4)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    restored = load_checkpoint(tmp_path / "checkpoint", *made())
    assert restored is not None and restored[1].epoch == 4


def damage(folder: Path, kind: str) -> None:
    tensors, state = folder / TENSORS, folder / STATE
    if kind == "cut off":
        tensors.write_bytes(tensors.read_bytes()[: tensors.stat().st_size // 2])
    elif kind == "no safetensors":
        tensors.write_bytes(b"\xff" * 500)
    elif kind == "empty":
        tensors.write_bytes(b"")
    elif kind == "gone":
        tensors.unlink()
    elif kind == "state cut off":
        state.write_text(state.read_text()[:20])
    elif kind == "state of something else":
        state.write_text(json.dumps({"steps": 3}))
    elif kind == "state is a list":
        state.write_text("[1]")


@pytest.mark.parametrize(
    "kind",
    ["cut off", "no safetensors", "empty", "gone", "state cut off", "state of something else", "state is a list"],
)
def test_a_damaged_checkpoint_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    saved(tmp_path / "checkpoint")
    damage(tmp_path / "checkpoint", kind)
    with pytest.raises(IsrfError, match=r"checkpoint: unreadable checkpoint .*delete it") as caught:
        load_checkpoint(tmp_path / "checkpoint", *made())
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "checkpoint")
    with pytest.raises(IsrfError, match="unreadable checkpoint"):
        load_checkpoint(tmp_path / "checkpoint", *made(width=5))


@pytest.mark.parametrize("file", [TENSORS, STATE])
def test_any_byte_that_flips_is_noticed(tmp_path: Path, file: str) -> None:
    """Above all one of the best weights, which nothing would notice: they are what recommends in the end."""
    saved(tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / file
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 80)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            restored = load_checkpoint(tmp_path / "checkpoint", *made())
        except IsrfError as error:
            assert "unreadable checkpoint" in str(error) and "delete it to train from the start" in str(error)
        else:  # white space of JSON
            assert file == STATE and restored is not None
            assert restored[1] == Progress(1, 1, 0.25, [{"epoch": 1, "loss_sr": 2.5}])
    path.write_bytes(whole)
    assert load_checkpoint(tmp_path / "checkpoint", *made()) is not None


def test_tensors_and_state_of_two_checkpoints_do_not_go_together(tmp_path: Path) -> None:
    saved(tmp_path / "one", epoch=1)
    saved(tmp_path / "other", epoch=2, seed=1)
    (tmp_path / "one" / TENSORS).write_bytes((tmp_path / "other" / TENSORS).read_bytes())
    with pytest.raises(IsrfError, match="not the ones that were written"):
        load_checkpoint(tmp_path / "one", *made())


def test_what_kills_left_of_a_write_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".checkpoint.0123456789abcdef.tmp"
    left.mkdir()
    (left / TENSORS).write_bytes(b"half")
    mine = tmp_path / "checkpoint.tmp"
    mine.mkdir()
    saved(tmp_path / "checkpoint")
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint", "checkpoint.tmp"}
