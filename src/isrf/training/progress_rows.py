"""What training says of itself while it runs and when it fails. Computes nothing."""

from __future__ import annotations

from pathlib import Path

from isrf.core.config import TrainingSettings
from isrf.core.errors import CannotFit
from isrf.core.shell import setting
from isrf.training.checkpoints import Progress
from isrf.training.optimizer_step import Means


def row_of(means: Means, progress: Progress, seconds: float, score: float | None = None) -> dict[str, str]:
    """Heading -> cell of one epoch, so far or with its validation.

    Args:
        means: of its steps.
        progress: epochs finished, this one among them where it has a ``score``.
        seconds: that its steps took.
        score: validation NDCG@10, None before there is any.
    """
    values = means.values()

    def cell(figure: str, digits: int) -> str:
        return f"{values[figure]:.{digits}f}" if values[figure] else ""  # of a task that had no step yet

    cells = {"epoch": str(progress.epoch + (score is None))}
    cells |= {name.upper(): cell(f"loss_{name}", 3) for name in means.tasks}
    cells["alignment"] = cell("loss_alignment", 3)
    cells |= {f"gradient {name.upper()}": cell(f"gradient_norm_{name}", 2) for name in means.tasks}
    cells["valid NDCG@10"] = "" if score is None else f"{score:.4f}"
    cells["best"] = f"{progress.best_score:.4f} in {progress.best_epoch}" if progress.best_epoch else ""
    cells["users/s"] = f"{means.users / seconds:,.0f}"
    return cells


class Diverged(CannotFit):
    """A training diverged; its text says how `isrf train` goes on, and others tell what goes for them.

    Attributes:
        what: what happened where.
        lower: a learning rate that may do.
    """

    def __init__(self, what: str, lower: float, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what, self.lower = what, lower


def lower_rate(settings: TrainingSettings) -> float:
    """A learning rate with which a training that diverged may not: half of what it was, as messages show it."""
    return float(f"{settings.learning_rate / 2:g}")


def remedy(settings: TrainingSettings, progress: Progress, checkpoint: Path | None) -> str:
    """What is left of a training that diverged, and how `isrf train` goes on."""
    lower = setting("training.learning_rate", lower_rate(settings))
    if not progress.epoch:
        return f"no epoch was finished before; start again with a lower rate, {lower} or less"
    kept = f"the checkpoint of epoch {progress.epoch} and the best weights, of epoch {progress.best_epoch}, are kept in"
    if checkpoint is None:
        return f"{kept} memory alone; start again with a lower rate, {lower} or less"
    return f"{kept} {checkpoint}; the same command with {lower} or less goes on from there"
