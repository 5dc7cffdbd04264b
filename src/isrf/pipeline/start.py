"""From a source to a finished workspace: what `isrf run` and ``isrf.run`` both do.

Whatever can be wrong with the arguments is found before a folder is made, and before torch is loaded, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isrf.core.config import Settings, load_settings
from isrf.core.setting_text import typed
from isrf.data.readers.frames import as_parquet, in_words_of
from isrf.data.readers.registry import parse_source
from isrf.pipeline.stage_settings import trying
from isrf.reasoning.llm.supplier import check_settings
from isrf.workspace.saved_settings import saved_settings_file
from isrf.workspace.workspace import Workspace


def run(
    data: Any,
    out: str | Path,
    *,
    items: Any = None,
    settings: Mapping[str, Any] | Settings | None = None,
    preset: str | None = None,
    train: bool = True,
) -> Workspace:
    """Every stage from a log and a catalogue to recommendations; a finished stage whose inputs did not change is kept.

    Args:
        data: the log: a path (as `isrf run --data` takes it), or a frame of polars, pandas or Arrow with a row an
            interaction.
        out: the folder of the workspace; made if need be.
        items: the catalogue, likewise; None = the one beside the log, if any.
        settings: {"room.name": value}, e.g. {"data.min_interactions": 0}, or all of them; they are remembered.
        preset: named settings under these: "fast", "paper" or "elmrec".
        train: whether a generator is trained; without, the interest graphs recommend.

    Returns:
        The workspace, for ``isrf.open``.

    Raises:
        IsrfError: the source, a setting or the folder cannot be used; one line says what to do.
    """
    with running(data, Path(out), items, as_typed(settings), preset, None, train) as (workspace, _):
        return workspace


@contextmanager
def running(
    data: Any,
    out: Path,
    items: Any,
    sets: Sequence[str],
    preset: str | None,
    config: Path | None,
    train: bool,
) -> Iterator[tuple[Workspace, bool]]:
    """``run`` with settings as they are typed; gives the workspace, held until the block ends, and whether it has a table.

    Args:
        sets: "room.name=value".
        config: YAML file of settings.
    """
    check_settings(load_settings(preset, config, list(sets), saved_settings_file(out)).reasoning)
    with ExitStack() as stack:
        frames: dict[str, str] = {}

        def place_of(given: Any, argument: str, name: str) -> str | Path:
            if isinstance(given, str | Path):
                return given
            path = Path(stack.enter_context(TemporaryDirectory(prefix="isrf-source-"))) / name
            frames[str(path)] = argument
            return as_parquet(given, path, argument)

        source = str(place_of(data, "data", "log.parquet"))
        catalogue = None if items is None else Path(place_of(items, "items", "items.parquet"))
        parse_source(source)
        workspace = Workspace.create(out)
        with workspace.held():
            from isrf.pipeline import run as pipeline

            with in_words_of(frames), trying(workspace, list(sets), preset, config) as settings:
                finished = pipeline.run(workspace, source, catalogue, settings, training=train)
            yield workspace, finished


def as_typed(settings: Mapping[str, Any] | Settings | None) -> list[str]:
    """Settings as "room.name=value". Of a whole tree, those that are not the default."""
    if isinstance(settings, Settings):
        default = Settings()
        return [
            f"{room}.{name}={typed(value)}"
            for room, fields in settings
            for name, value in fields
            if value != getattr(getattr(default, room), name)
        ]
    return [f"{name}={typed(value)}" for name, value in (settings or {}).items()]
