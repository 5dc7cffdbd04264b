"""Checkpoints of somebody who means harm: nothing of theirs runs, and one line says why they are not used."""

from __future__ import annotations

import builtins
import json
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.semantics.test_encode import small_checkpoint  # noqa: F401 (a fixture)
from transformers import T5Config, T5ForConditionalGeneration

from isrf.core.config import SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.core.model_folders import check_configuration, check_model_folder
from isrf.model.pretrained import pretrained
from isrf.semantics.encode import Encoder


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> Any:
        return Path.write_text, (self.ran, "ran")


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code of the attacker would write; nobody is there to be asked."""

    def asked(*words: object) -> str:
        (tmp_path / "ran").write_text("asked whether to run code")
        return "y"

    monkeypatch.setattr(builtins, "input", asked)
    return tmp_path / "ran"


@pytest.fixture
def checkpoint(small_checkpoint: Path, tmp_path: Path, ran: Path) -> Path:  # noqa: F811
    """A good checkpoint with a module of the attacker's in it."""
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "model"))
    for place in (folder, folder / "0_Transformer"):
        if place.is_dir():
            (place / "evil.py").write_text(f"open({str(ran)!r}, 'w').write('ran')\nclass Evil: pass\n")
    return folder


def changed(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def modules_of(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    return folder / "modules.json", json.loads((folder / "modules.json").read_text())


def pickled_only(folder: Path, ran: Path) -> None:
    weights = next(folder.rglob("model.safetensors"))
    torch.save(load_file(weights) | {"x": Evil(ran)}, weights.with_name("pytorch_model.bin"))
    weights.unlink()


def another_module(kind: str, folder: Path) -> None:
    path, modules = modules_of(folder)
    modules.append({"idx": len(modules), "name": "9", "path": "9_Evil", "type": kind})
    path.write_text(json.dumps(modules))
    (folder / "9_Evil").mkdir()


def a_dense_layer(folder: Path, ran: Path, activation: str) -> None:
    another_module("sentence_transformers.models.Dense", folder)
    about = {"in_features": 16, "out_features": 16, "bias": True, "activation_function": activation}
    (folder / "9_Evil" / "config.json").write_text(json.dumps(about))
    (folder / "9_Evil" / "pytorch_model.bin").write_bytes(pickle.dumps({"linear.weight": Evil(ran)}))


def words(folder: Path) -> None:
    another_module("sentence_transformers.models.WordEmbeddings", folder)
    (folder / "9_Evil" / "wordembedding_config.json").write_text(json.dumps({"tokenizer_class": "evil.Evil"}))


def router(folder: Path) -> None:
    another_module("sentence_transformers.models.Router", folder)
    about = {"types": {"9": "evil.Evil"}, "structure": {"query": ["9"]}, "parameters": {}}
    (folder / "9_Evil" / "router_config.json").write_text(json.dumps(about))


ATTACKS = {
    "a module of its own": lambda folder, ran: another_module("evil.Evil", folder),
    "a module of the standard library": lambda folder, ran: another_module("subprocess.Popen", folder),
    "weights in a pickle": pickled_only,
    "a layer in a pickle": lambda folder, ran: a_dense_layer(folder, ran, "torch.nn.modules.activation.Tanh"),
    "an activation of its own": lambda folder, ran: a_dense_layer(folder, ran, "evil.Evil"),
    "a tokenizer of its own": lambda folder, ran: words(folder),
    "a router of its own": lambda folder, ran: router(folder),
    "attention of the hub": lambda folder, ran: changed(
        next(folder.rglob("config.json")), attn_implementation="somebody/kernels"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_encoder_runs_no_code(attack: str, checkpoint: Path, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkpoint))
    ATTACKS[attack](checkpoint, ran)
    with pytest.raises(IsrfError, match=r"not run|can run code") as caught:
        Encoder(SemanticsSettings(encoder=str(checkpoint)))(["soap"])
    assert "\n" not in str(caught.value)
    assert not ran.exists() and "evil" not in sys.modules


@pytest.mark.parametrize("kind", ["AutoModel", "AutoConfig", "AutoTokenizer"])
@pytest.mark.parametrize("where", ["evil.Evil", "somebody/elsewhere--evil.Evil"])
def test_code_for_the_libraries_classes_is_not_run(kind: str, where: str, checkpoint: Path, ran: Path) -> None:
    """A model that they know without it works; one that they do not is told of."""
    for path in checkpoint.rglob("*config.json"):
        if path.name == "tokenizer_config.json" or "model_type" in json.loads(path.read_text()):
            changed(path, auto_map={kind: [where, where] if kind == "AutoTokenizer" else where})
    assert Encoder(SemanticsSettings(encoder=str(checkpoint)))(["soap"]).shape == (1, 16)
    for path in checkpoint.rglob("config.json"):
        if "model_type" in json.loads(path.read_text()):
            changed(path, model_type="evil")
    with pytest.raises(IsrfError, match="cannot be loaded"):
        Encoder(SemanticsSettings(encoder=str(checkpoint)))(["tea"])
    assert not ran.exists()


@pytest.fixture
def backbone(tmp_path: Path, ran: Path) -> Path:
    sizes = T5Config(vocab_size=32, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    folder = tmp_path / "t5"
    T5ForConditionalGeneration(sizes).save_pretrained(folder)
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').write('ran')\nclass Evil: pass\n")
    return folder


@pytest.mark.parametrize("attack", ["code elsewhere", "code beside", "pickle", "attention of the hub"])
def test_a_backbone_runs_no_code_and_asks_nobody(attack: str, backbone: Path, ran: Path) -> None:
    if attack == "pickle":
        torch.save({"x": Evil(ran)}, backbone / "pytorch_model.bin")
        (backbone / "model.safetensors").unlink()
    elif attack == "attention of the hub":
        changed(backbone / "config.json", attn_implementation="somebody/kernels")
    else:
        where = "somebody/elsewhere--evil.Evil" if attack == "code elsewhere" else "evil.Evil"
        changed(backbone / "config.json", model_type="evil", auto_map={"AutoConfig": where})
    with pytest.raises(IsrfError) as caught:
        pretrained(backbone, 0.1)
    assert str(backbone) in str(caught.value) and not ran.exists()


def test_what_training_leaves_beside_the_weights_is_no_fault(backbone: Path) -> None:
    (backbone / "training_args.bin").write_bytes(b"\x80")
    (backbone / "optimizer.pt").write_bytes(b"\x80")
    assert pretrained(backbone, 0.1).config.d_model == 8


@pytest.mark.parametrize("field", ["attn_implementation", "_attn_implementation"])
def test_sizes_of_a_trained_model_name_no_code(field: str, tmp_path: Path) -> None:
    """``t5.json`` of a workspace becomes a configuration too, and holds whatever its maker wrote."""
    document = T5Config(d_model=8).to_dict()
    check_configuration(document, tmp_path / "t5.json")
    with pytest.raises(IsrfError, match=r"t5\.json: .*code of the hub"):
        check_configuration(document | {field: "somebody/kernels"}, tmp_path / "t5.json")


def test_a_configuration_too_large_to_look_at_is_refused(checkpoint: Path, ran: Path) -> None:
    modules = checkpoint / "modules.json"
    modules.write_text(modules.read_text() + " " * 5_000_000)
    with pytest.raises(IsrfError, match=r"modules\.json: a configuration of more than 4 MiB"):
        check_model_folder(checkpoint)


def test_a_linked_folder_is_refused_as_nobody_looks_into_it(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (checkpoint / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IsrfError, match="sub: a link to another folder"):
        check_model_folder(checkpoint)
