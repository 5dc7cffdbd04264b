"""The sentence encoder with the real MiniLM, its cache, and checkpoints of other people."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from isrf.core import assets
from isrf.core.config import SemanticsSettings
from isrf.core.errors import IsrfError
from isrf.semantics import encode
from isrf.semantics.encode import Encoder

TEXTS = [
    "Silent films for evening viewers.",
    "Lavender soap",
    "",
    "A toy train, wooden and blue",
    "Lavender soap",
    "  ",
]

SAME = 0.02
"""Largest difference of one text's vector between two batches: bfloat16 sums depend on the padding."""


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    assets.fetch("minilm")
    return Encoder(SemanticsSettings())


def test_texts_become_unit_vectors_and_no_text_the_zero_vector(minilm: Encoder) -> None:
    vectors = minilm(TEXTS)
    assert vectors.shape == (6, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1, 1, 0], abs=1e-5)
    assert np.array_equal(vectors[1], vectors[4])


def test_meaning_is_near_meaning(minilm: Encoder) -> None:
    soap, bath, engine = minilm(["lavender soap for the bath", "a bar of scented soap", "diesel engine spare parts"])
    assert soap @ bath > 0.5 > soap @ engine + 0.2


def test_no_texts_at_all(minilm: Encoder) -> None:
    assert minilm([]).shape == (0, 384)
    assert np.array_equal(minilm(["", " "]), np.zeros((2, 384), np.float32))


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=40), min_size=1, max_size=4))
@examples(max_examples=40)
def test_any_text_has_unit_norm(minilm: Encoder, texts: list[str]) -> None:
    """Every code point: controls, unassigned, half surrogate pairs, right-to-left, combining."""
    vectors = minilm(texts)
    expected = [1.0 if text.strip() else 0.0 for text in texts]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(expected, abs=1e-4)


def test_a_text_longer_than_the_encoder_reads(minilm: Encoder) -> None:
    assert np.linalg.norm(minilm(["soap " * 20_000])) == pytest.approx(1, abs=1e-4)


def test_vectors_are_the_same_with_and_without_a_cache(minilm: Encoder, tmp_path: Path) -> None:
    plain = minilm(TEXTS)
    cold = Encoder(SemanticsSettings(), tmp_path / "vectors.sqlite")(TEXTS)
    warm = Encoder(SemanticsSettings(), tmp_path / "vectors.sqlite")(TEXTS)
    assert plain.tobytes() == cold.tobytes() == warm.tobytes()


def test_what_is_cached_is_not_encoded_and_needs_no_model(tmp_path: Path) -> None:
    Encoder(SemanticsSettings(), tmp_path / "vectors.sqlite")(TEXTS)
    again = Encoder(SemanticsSettings(), tmp_path / "vectors.sqlite")
    again(TEXTS[::-1])
    assert again._model is None  # never loaded
    again([*TEXTS, "something new"])
    assert again._model is not None


def test_a_vector_hardly_depends_on_its_company(minilm: Encoder) -> None:
    alone = minilm([TEXTS[0]])[0]
    beside = minilm([TEXTS[0], "x " * 300])[0]
    np.testing.assert_allclose(alone, beside, atol=SAME)


def test_a_run_killed_half_way_encodes_nothing_twice(
    minilm: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SAVE_EVERY", 4)
    texts = [f"text number {i} about {'tea' if i % 2 else 'bread'}" for i in range(20)]
    seen: list[str] = []

    class Watched(Encoder):
        """Writes down what is encoded, and is killed before the third batch."""

        batches_left = 2

        def _encode(self, texts, advance):  # type: ignore[no-untyped-def]
            if not self.batches_left:
                raise KeyboardInterrupt
            self.batches_left -= 1
            seen.extend(texts)
            return super()._encode(texts, advance)

    first = Watched(SemanticsSettings(), tmp_path / "vectors.sqlite")
    with pytest.raises(KeyboardInterrupt):
        first(texts)
    assert len(seen) == 8
    second = Watched(SemanticsSettings(), tmp_path / "vectors.sqlite")
    second.batches_left = 100
    vectors = second(texts)
    assert sorted(seen) == sorted(texts)
    np.testing.assert_allclose(vectors, minilm(texts), atol=SAME)


def test_another_encoder_does_not_read_the_vectors_of_this_one(small_checkpoint: Path, tmp_path: Path) -> None:
    store = tmp_path / "vectors.sqlite"
    assert Encoder(SemanticsSettings(), store)(["soap"]).shape == (1, 384)
    assert Encoder(SemanticsSettings(encoder=str(small_checkpoint)), store)(["soap"]).shape == (1, 16)


def test_a_file_that_is_no_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(IsrfError, match=r"vectors\.sqlite: not a readable vector cache .* delete it"):
        Encoder(SemanticsSettings(), path)


def test_a_cache_damaged_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    encoder = Encoder(SemanticsSettings(), path)
    encoder([f"text {i}" for i in range(50)])
    encoder._cache.close()  # type: ignore[union-attr]
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)  # the first page, with the table's definition, stays
    path.write_bytes(bytes(data))
    with pytest.raises(IsrfError, match=r"vectors\.sqlite: not a readable vector cache .* delete it"):
        Encoder(SemanticsSettings(), path)(["text 1"])


def test_a_store_that_cannot_grow_is_one_line(tmp_path: Path) -> None:
    """What a full disk says to SQLite, said by a limit on pages."""
    path = tmp_path / "vectors.sqlite"
    encoder = Encoder(SemanticsSettings(), path)
    encoder._cache._db.execute("PRAGMA max_page_count = 3")  # type: ignore[union-attr]
    with pytest.raises(IsrfError, match=r"vectors\.sqlite: cannot be written \(.*full.*\); free some space"):
        encoder([f"text {i}" for i in range(50)])
    assert sqlite3.connect(path).execute("SELECT count(*) FROM vectors").fetchone() == (0,)


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers checkpoint with random weights, saved as anybody would save theirs."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("checkpoint")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "soap", "tea"]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]))
    config = BertConfig(vocab_size=57, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    model = Transformer(str(folder / "bert"), max_seq_length=32)
    SentenceTransformer(modules=[model, Pooling(16), Normalize()], device="cpu").save(str(folder / "model"))
    return folder / "model"


def test_anybodys_sentence_transformers_checkpoint(small_checkpoint: Path) -> None:
    vectors = Encoder(SemanticsSettings(encoder=str(small_checkpoint)))(["soap", "tea", "", "soap"])
    assert vectors.shape == (4, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-5)
    assert np.array_equal(vectors[0], vectors[3]) and vectors[0] @ vectors[1] < 0.999


@pytest.mark.parametrize("name", ["/there/is/no/such/folder", "nobody/has-published-this"])
def test_a_missing_checkpoint_is_one_clear_line(name: str) -> None:
    with pytest.raises(IsrfError, match=r"semantics\.encoder='.*' cannot be loaded") as caught:
        Encoder(SemanticsSettings(encoder=name))(["text"])
    assert name in str(caught.value) and "'minilm'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_checkpoint_is_one_clear_line(small_checkpoint: Path, tmp_path: Path, file: str) -> None:
    for path in small_checkpoint.rglob("*"):
        target = tmp_path / path.relative_to(small_checkpoint)
        target.mkdir(parents=True, exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    found = next(tmp_path.rglob(file))
    found.write_bytes(found.read_bytes()[: found.stat().st_size // 2])
    with pytest.raises(IsrfError, match=r"semantics\.encoder='.*' cannot be loaded") as caught:
        Encoder(SemanticsSettings(encoder=str(tmp_path)))(["text"])
    assert "\n" not in str(caught.value)


def test_the_checkpoint_is_what_it_is_taken_for(small_checkpoint: Path) -> None:
    modules = json.loads((small_checkpoint / "modules.json").read_text())
    assert [m["type"].rsplit(".", 1)[-1] for m in modules] == ["Transformer", "Pooling", "Normalize"]


def test_a_text_of_megabytes_is_cut_and_told_of_once(minilm: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    long = "wooden toy train " * 400_000
    vectors = minilm([long, "wooden toy train " * 2000, "Lavender soap"], "encode items")
    told = capsys.readouterr().err
    assert told.count("longer than the encoder reads") == 1 and "2 texts" in told and "6,800,000" in told
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=SAME), "of both the beginning was read"
    minilm(["short " * 200])
    assert "longer" not in capsys.readouterr().err
