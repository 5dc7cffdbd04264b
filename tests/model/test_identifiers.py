"""Item identifiers: what they are made from, that no two are the same, and that they survive files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import T5Tokenizer

from isrf.core.errors import IsrfError
from isrf.core.settings import LARGEST_SEED
from isrf.model.identifiers import (
    Identifiers,
    digit_identifiers,
    load_identifiers,
    read_pieces,
    save_identifiers,
    seeded_numbers,
    semantic_identifiers,
)

SPECIAL = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
PIECES = [*SPECIAL, ("▁", -2.0), ("▁item", -3.0), ("_", -3.5)]
PIECES += [(str(d), -6.0 - d / 8) for d in range(10)] + [("12", -5.0), ("34", -5.5), ("100", -5.25)]


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def sentencepiece_bytes(pieces: list[tuple[str, float]]) -> bytes:
    """A SentencePiece model with these pieces, a type on each and a trainer's field that nobody here needs."""
    found = b""
    for piece, score in pieces:
        text = piece.encode()
        message = b"\x0a" + varint(len(text)) + text + b"\x15" + struct.pack("<f", score) + b"\x18\x01"
        found += b"\x0a" + varint(len(message)) + message
    return found + b"\x12\x03\x18\x96\x01"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "spiece.model"
    path.write_bytes(sentencepiece_bytes(PIECES))
    return path


def blobs(per_blob: int = 10, n_blobs: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(I, 6) float32 features in well separated groups, and the (I,) group of each."""
    rng = np.random.default_rng(0)
    owner = rng.permutation(np.repeat(np.arange(n_blobs), per_blob))
    centres = 10 * np.eye(n_blobs, 6)
    return (centres[owner] + 0.1 * rng.normal(size=(len(owner), 6))).astype(np.float32), owner


class TestDigits:
    @given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50, unique=True))
    def test_decimal_digits_spell_the_number_with_leading_zeros(self, numbers: list[int]) -> None:
        made = digit_identifiers(np.array(numbers))
        assert made.end is None and made.size == 10 and made.length == len(str(max(numbers)))
        assert ["".join(map(str, code)) for code in made.tokens.tolist()] == [
            str(n).zfill(made.length) for n in numbers
        ]

    def test_the_seed_deals_out_the_numbers(self) -> None:
        numbers = seeded_numbers(100, 3)
        assert sorted(numbers) == list(range(1, 101)) and not np.array_equal(numbers, np.arange(1, 101))
        assert np.array_equal(numbers, seeded_numbers(100, 3))
        assert not np.array_equal(numbers, seeded_numbers(100, 4))

    def test_a_number_given_twice_is_refused_with_both_rows(self) -> None:
        with pytest.raises(IsrfError, match="item rows 1 and 3 have the same code"):
            digit_identifiers(np.array([7, 12, 9, 12]))

    def test_pieces_are_those_of_the_tokenizer_behind_the_common_beginning(self, model: Path) -> None:
        made = digit_identifiers(np.array([1234, 12, 5, 100]), model)
        assert made.pieces is not None and made.end is not None
        words = [PIECES[row][0] for row in made.pieces]
        spelled = [[words[token] for token in code] for code in made.tokens.tolist()]
        end = "</s>"
        assert spelled == [["12", "34", end], ["12", end, end], ["5", end, end], ["100", end, end]]
        assert words[made.end] == end
        assert made.written.tolist() == [[True] * 3, [True, True, False], [True, True, False], [True, True, False]]
        tokenizer = T5Tokenizer(vocab=PIECES, extra_ids=0)
        assert tokenizer.tokenize("item_1234") == ["▁item", "_", "12", "34"]

    def test_pieces_of_one_length_need_no_end(self, model: Path) -> None:
        made = digit_identifiers(np.array([55, 56, 67]), model)
        assert made.end is None and made.length == 2 and made.size == 3

    def test_one_item_keeps_one_token(self, model: Path) -> None:
        assert digit_identifiers(np.array([1234]), model).tokens.shape == (1, 1)

    def test_a_number_that_the_pieces_cannot_spell_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "spiece.model").write_bytes(sentencepiece_bytes([p for p in PIECES if "7" not in p[0]]))
        with pytest.raises(IsrfError, match=r"spiece\.model: has no pieces for item_7"):
            digit_identifiers(np.array([5, 7]), tmp_path / "spiece.model")


class TestPieces:
    @given(st.lists(st.tuples(st.text(max_size=40), st.floats(width=32, allow_nan=False)), max_size=20))
    def test_every_piece_and_score_is_read(
        self, tmp_path_factory: pytest.TempPathFactory, more: list[tuple[str, float]]
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "read.model"
        path.write_bytes(sentencepiece_bytes([*SPECIAL, *more]))
        assert read_pieces(path) == [*SPECIAL, *more]

    @given(st.binary(max_size=60) | st.integers(0, 400).map(lambda n: sentencepiece_bytes(PIECES)[:n]))
    def test_bytes_that_are_no_model_are_refused_or_hold_fewer_pieces(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "broken.model"
        path.write_bytes(data)
        try:
            found = read_pieces(path)
        except IsrfError as error:
            assert "broken.model" in str(error) and "\n" not in str(error)
        else:
            assert found == PIECES[: len(found)]

    def test_a_missing_model_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(IsrfError, match=r"none\.model: no such file"):
            read_pieces(tmp_path / "none.model")

    def test_another_tokenizer_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "other.model").write_bytes(sentencepiece_bytes([("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)]))
        with pytest.raises(IsrfError, match="rows 1 and 2 are not </s> and <unk>"):
            read_pieces(tmp_path / "other.model")


class TestSemantic:
    def test_items_that_are_alike_begin_alike(self) -> None:
        features, owner = blobs()
        made = semantic_identifiers(features, levels=2, codes=4)
        pairs = set(zip(made.tokens[:, 0].tolist(), owner.tolist(), strict=True))
        assert len(pairs) == 4, "the first token is not the group"
        assert made.tokens[:, 0].max() < 4 <= made.tokens[:, 1].min()  # each level has tokens of its own
        assert made.tokens[:, 1].max() < 8 <= made.tokens[:, 2].min() and made.tokens.max() < made.size

    def test_each_level_tells_apart_what_the_one_before_left(self) -> None:
        features = np.random.default_rng(1).normal(size=(400, 8)).astype(np.float32)
        one, three = (semantic_identifiers(features, levels=n, codes=8).tokens[:, :-1] for n in (1, 3))
        spread = [float(np.mean([features[(code == c).all(1)].var(0).sum() for c in code])) for code in (one, three)]
        assert spread[1] < 0.5 * spread[0] < 0.5 * features.var(0).sum()
        assert np.array_equal(one, three[:, :1])

    def test_equal_features_differ_in_the_last_token_only_and_not_by_row_order(self) -> None:
        features = np.repeat(blobs(1)[0], 25, axis=0)
        made = semantic_identifiers(features, levels=2, codes=4)
        for begin in range(0, 100, 25):
            codes = made.tokens[begin : begin + 25]
            assert (codes[:, :2] == codes[0, :2]).all()
            assert sorted(codes[:, 2] - codes[:, 2].min()) == list(range(25))
            assert not (np.diff(codes[:, 2]) > 0).all(), "the last token counts rows, and rows may be in order of time"

    def test_the_seed_alone_decides(self) -> None:
        features = np.random.default_rng(2).normal(size=(300, 8)).astype(np.float32)
        threads = faiss.omp_get_max_threads()
        one, again, other = (semantic_identifiers(features, codes=16, seed=s) for s in (5, 5, 6))
        assert one.tokens.tobytes() == again.tokens.tobytes()
        assert one.tokens.tobytes() != other.tokens.tobytes()
        assert faiss.omp_get_max_threads() == threads

    def test_the_largest_seed_of_the_settings_is_one_for_faiss_too(self) -> None:
        features = np.random.default_rng(2).normal(size=(60, 8)).astype(np.float32)
        assert len(semantic_identifiers(features, codes=2, seed=LARGEST_SEED)) == 60

    def test_a_small_catalogue_has_fewer_codes_and_says_so(self, capfd: pytest.CaptureFixture[str]) -> None:
        made = semantic_identifiers(np.eye(12, dtype=np.float32), levels=2, codes=256)
        assert made.tokens[:, 0].max() < 3
        assert "3 codes a level instead of 256" in capfd.readouterr().err

    @pytest.mark.parametrize("n_items", [1, 2, 5])
    def test_very_few_items_are_told_apart(self, n_items: int) -> None:
        assert len(semantic_identifiers(np.ones((n_items, 3), dtype=np.float32))) == n_items


class TestConstruction:
    def test_a_token_outside_the_vocabulary_is_refused(self) -> None:
        with pytest.raises(IsrfError, match=r"item row 1 has a token outside \[0, 3\)"):
            Identifiers("semantic", np.array([[0, 1], [0, 3]]), 3)

    @pytest.mark.parametrize("code", [[2, 0, 1], [0, 0, 0]])
    def test_a_code_that_goes_on_behind_its_end_or_is_empty_is_refused(self, code: list[int]) -> None:
        with pytest.raises(IsrfError, match="item row 1 is empty or goes on"):
            Identifiers("digits", np.array([[1, 2, 0], code]), 3, end=0)


class TestFiles:
    def test_both_kinds_come_back_equal(self, model: Path, tmp_path: Path) -> None:
        for made in (semantic_identifiers(blobs()[0], 2, 4), digit_identifiers(np.array([1, 12, 123]), model)):
            save_identifiers(made, tmp_path)
            found = load_identifiers(tmp_path)
            assert (found.kind, found.size, found.end) == (made.kind, made.size, made.end)
            assert np.array_equal(found.tokens, made.tokens)
            assert (found.pieces is None) == (made.pieces is None)
            assert made.pieces is None or np.array_equal(found.pieces, made.pieces)

    @pytest.mark.parametrize("file", ["identifiers.npz", "identifiers.json"])
    @pytest.mark.parametrize("damage", ["missing", "cut", "other"])
    def test_a_damaged_file_is_one_clear_line(self, file: str, damage: str, tmp_path: Path) -> None:
        save_identifiers(semantic_identifiers(blobs()[0], 2, 4), tmp_path)
        path = tmp_path / file
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:50])
        elif file.endswith("json"):
            path.write_text(json.dumps(["no", "object"]))
        else:
            np.savez(path, tokens=np.zeros((2, 2), dtype=np.int64))
        with pytest.raises(IsrfError, match="unreadable item identifiers") as refused:
            load_identifiers(tmp_path)
        assert "\n" not in str(refused.value)
