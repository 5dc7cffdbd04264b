"""Variants of the whole system: the same workspace with a few settings changed, trained in a workspace of its own.

A variant borrows every stage that its settings do not touch from the workspace it varies, so that nothing is computed
twice, and shares its stores of vectors and answers. Knows nothing about baselines or tables.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from isrf.core.config import PRIVATE, Settings, TrainingSettings, given_names, load_settings, save_settings
from isrf.core.errors import IsrfError
from isrf.core.locks import alone
from isrf.core.progress import note
from isrf.core.shell import argument, command_line, in_shell, setting
from isrf.pipeline import run as pipeline
from isrf.reasoning.llm import consent
from isrf.reasoning.llm.supplier import check_settings
from isrf.workspace.layout import ANSWERS_FILE, SETTINGS_FILE, VARIANTS_FOLDER, VECTORS_FILE
from isrf.workspace.lend import lend
from isrf.workspace.stage import Stage
from isrf.workspace.workspace import Workspace

FEW_EPOCHS = ("model.dropout=0", "training.batch_size=64")
"""What identifiers of several tokens need to be learned in a few epochs, where published models train far longer:
more steps, and no dropout. Chosen on validation (docs/log.md)."""

VARIANTS: dict[str, tuple[str, ...]] = {
    "isrf-nogroup": ("model.group=none",),
    "isrf-unconsumed": ("model.group=aligned",),
    "isrf-noalignment": ("training.alignment=0",),
    "isrf-swapped": ("training.alignment_direction=swapped",),
    "isrf-nosemantics": ("semantics.item_text=none",),
    "isrf-nopropagation": ("graphs.layers=0",),
    "isrf-noevidence": ("model.graph_evidence=false",),
    "tiger": (
        "model.identifiers=semantic",
        "model.group=none",
        "model.templates=none",
        "graphs.layers=0",
        "ranking.fusion=generator",
        *FEW_EPOCHS,
    ),
    "elmrec": (
        "model.identifiers=digits",
        "model.templates=paper",
        "model.group=none",
        "semantics.item_text=none",
        "graphs.layers=4",
        "ranking.fusion=generator",
        *FEW_EPOCHS,
    ),
}
"""Name in tables -> the settings that differ. ``isrf@room.name=value`` is a variant that needs no entry here."""

PUBLISHED = ("tiger", "elmrec")
"""Variants named after published methods, of which they have the form but not the sizes."""


CHANGE = "@"
"""Stands before each changed setting in the name of a variant: isrf@graphs.tau=0.5@graphs.top_k=10."""

RATE = "training.learning_rate"

UPSTREAM = {
    "dataset": ("data",),
    "reasoning": ("data", "reasoning"),
    "semantics": ("data", "reasoning", "semantics"),
    "graphs": ("data", "reasoning", "semantics", "graphs"),
}
"""Stages that a variant may borrow -> rooms of settings that decide what is in them."""

STORES = {"reasoning": ANSWERS_FILE, "semantics": VECTORS_FILE}
"""Stage -> its store of answers or vectors."""

SAME = ("data", "evaluation")
"""Rooms that no variant may change: rows of a table are about one split and one protocol."""


def variant_settings(workspace: Workspace, method: str, seed: int | None = None) -> Settings:
    """The settings of a workspace with those of a variant over them.

    Args:
        workspace: which settings are kept in.
        method: a name of VARIANTS or "isrf", and any number of "@room.name=value" behind it.
        seed: ``training.seed``; None leaves it.

    Raises:
        IsrfError: a setting that does not exist, is out of range, or would change the split or the protocol.
    """
    base, *changes = method.split(CHANGE)
    for change in changes:
        if (name := change.partition("=")[0].strip()) in PRIVATE:
            raise IsrfError(
                f"{argument('methods')} {base}: {name} cannot differ within a table, whose rows would show it"
            )
    overrides = [*VARIANTS.get(base, ()), *changes, *([] if seed is None else [f"training.seed={seed}"])]
    kept = workspace.root / SETTINGS_FILE
    try:
        changed, before = load_settings(base=kept, overrides=overrides), load_settings(base=kept)
    except IsrfError as error:
        raise IsrfError(f"{argument('methods')} {method}: {error}") from None
    check_settings(changed.reasoning)
    consent.offer(changed.reasoning, given_names(overrides=changes, base=kept))
    for room in SAME:
        if getattr(changed, room) != getattr(before, room):
            raise IsrfError(
                f"{argument('methods')} {method}: a row of the table cannot have {room!r} settings of its own, as all are about "
                "the same split and protocol; change them for the whole workspace"
            )
    return changed


def trained(workspace: Workspace, label: str, settings: Settings) -> Workspace:
    """A workspace with these settings and a trained model: the given one where they are its own, else a variant's.

    Resumes what a kill left, keeps what is finished.

    Args:
        workspace: with everything up to its graphs.
        label: names the variant's folder, unless another name has the same settings and was trained before.
        settings: of the variant (``variant_settings``).
    """
    if settings == load_settings(base=workspace.root / SETTINGS_FILE):
        pipeline.train(workspace, settings)
        return workspace
    variant = Workspace.create(_home(workspace.root / VARIANTS_FOLDER, label, settings))
    with variant.held():
        borrow(workspace, variant, settings)
        pipeline.reason(variant, settings)
        pipeline.embed(variant, settings)
        pipeline.graph(variant, settings)
        pipeline.train(variant, settings)
    return variant


def slower(workspace: Workspace, method: str, settings: Settings, lower: float) -> str:
    """How a method whose training diverged in a bench is trained with a lower rate: a bench takes no settings.

    Args:
        method: as the bench names it, without a seed that came from ``seeds``.
        settings: with which it diverged.
    """
    if settings.model_copy(update={"training": _seedless(settings)}) == _kept_seedless(workspace):
        again, rate = command_line("isrf", "train", workspace.root), setting(RATE, lower)
        again = f"`{again} {rate}`" if in_shell() else f"`{again}` with {rate}"
        return f"{again} trains with a lower rate, and the same bench goes on from there"
    base, *changes = method.split(CHANGE)
    kept = [change for change in changes if change.partition("=")[0].strip() != RATE]
    named = CHANGE.join([base, *kept, f"{RATE}={lower:g}"])
    return f"name {shlex.quote(named)} among {argument('methods')} in its place, which trains it anew with a lower rate"


def _seedless(settings: Settings) -> TrainingSettings:
    return settings.training.model_copy(update={"seed": 0})


def _kept_seedless(workspace: Workspace) -> Settings:
    kept = load_settings(base=workspace.root / SETTINGS_FILE)
    return kept.model_copy(update={"training": _seedless(kept)})


def _home(variants: Path, label: str, settings: Settings) -> Path:
    """Where a variant lies: ``isrf-nopropagation`` and ``isrf@graphs.layers=0`` are one, and trained once."""
    own = variants / folder_name(label)
    if own.exists():
        return own
    for file in sorted(variants.glob(f"*/{SETTINGS_FILE}")):
        with suppress(IsrfError):  # of another version: it is no variant of ours
            if load_settings(base=file) == settings:
                note(f"{label}: has the settings of {file.parent.name}, which is taken for it")
                return file.parent
    return own


def folder_name(label: str) -> str:
    """A variant's name as that of a folder or file; what a file system might refuse is replaced, a digest tells it apart.

    >>> folder_name("isrf@graphs.tau=0.5")
    'isrf@graphs.tau=0.5'
    >>> folder_name("isrf@semantics.encoder=a/b")
    'isrf@semantics.encoder=a_b-bfe65467'
    """
    plain = re.sub(r"[^A-Za-z0-9@._=+-]", "_", label)[:100]
    return plain if plain == label else f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def borrow(workspace: Workspace, variant: Workspace, settings: Settings) -> None:
    """Give a variant the finished stages that its settings do not touch, and the stores of vectors and answers.

    Whether a borrowed stage fits is decided by the pipeline as for any other: by its key.
    """
    before = load_settings(base=workspace.root / SETTINGS_FILE)
    with alone(variant.root):
        save_settings(settings, variant.root / SETTINGS_FILE)
        for name, rooms in UPSTREAM.items():
            lender, borrower = workspace.stage(name), variant.stage(name)
            borrower.prepare()
            share_stores(lender, borrower)
            same = all(getattr(settings, room) == getattr(before, room) for room in rooms)
            drawn = "semantics" in rooms and settings.semantics.item_text == "none"
            if same and not (drawn and settings.training.seed != before.training.seed):
                lend(lender, borrower)


def sizes_note(methods: Sequence[str], settings: Settings) -> str | None:
    """What a reader of a table has to know of methods in it that bear a published one's name; None where none does.

    Args:
        methods: names in the table.
        settings: of the workspace.
    """
    named = [method for method in methods if method.split(CHANGE)[0] in PUBLISHED]
    if not named:
        return None
    model, training = settings.model, settings.training
    sizes = model.backbone or (
        f"a T5 of {model.encoder_layers} + {model.decoder_layers} layers and width {model.d_model} from random weights"
    )
    return (
        f"{', '.join(named)}: the method's form with this workspace's sizes ({sizes}; at most {training.epochs} epochs, "
        f"with {' and '.join(FEW_EPOCHS)}) unless the name says otherwise, not with the published ones, which train far "
        "longer: no figure of a paper is rerun here"
    )


def share_stores(lender: Stage, borrower: Stage) -> None:
    """Point a variant to the stores of the workspace it varies: what was encoded or answered for one serves all.

    They are addressed by content, so sharing is safe. By symbolic link: SQLite then keeps its journal at the one true
    place, which it would not by a hard link.
    """
    if lender.name in STORES:
        # also where there is none yet: SQLite then makes it at the one place
        store, target = lender.store(STORES[lender.name]), borrower.store(STORES[lender.name])
        if not target.is_symlink() and not target.exists():
            target.symlink_to(Path(os.path.relpath(store.resolve(), borrower.folder.resolve())))
