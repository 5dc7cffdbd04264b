"""The command line: parses, calls the pipeline, prints. Decides nothing.

Exit codes: 0 done, 1 a fault of ours, 2 bad input (one clear line on standard error), 3 a leak found by `isrf audit
--strict`, 130 stopped with Ctrl-C.
``--debug`` before the command shows the traceback.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from isrf import __version__, processes
from isrf.cli_audit import HELP as AUDIT_HELP
from isrf.cli_audit import audit
from isrf.cli_bench import HELP, bench
from isrf.cli_data import data_app, data_sets
from isrf.cli_reason import reason
from isrf.cli_report import inspect, report
from isrf.core.failures import line_of
from isrf.errors import IsrfError
from isrf.options import (
    Config,
    Format,
    History,
    IdOrderOption,
    Items,
    Method,
    OnBadRow,
    Out,
    Preset,
    Sets,
    SourceOption,
    TaskName,
    TaskOption,
    User,
    Where,
    task_of,
)

app = typer.Typer(
    name="isrf",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a log and a catalogue to ranked recommendations with reasons. Start with `isrf run`.",
)
app.add_typer(data_app, name="data")


INTERRUPTED = 130
NEXT = {"embed": ("graph",), "graph": ("recommend", "train", "evaluate"), "train": ("evaluate",)}
"""Commands that make use of what a stage wrote, the usual one first."""
KEPT = "stopped; what was finished is kept, the same command goes on from there"

PANIC = "PanicException"
"""What a fault within a library written in Rust raises, which is no Exception; each library has a class of its own."""
MISUNDERSTOOD: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""What typer raises for words it does not understand: a class of click, or of its own copy of click since it has one."""


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    processes.check_shared(context.invoked_subcommand)


@app.command()
def run(
    data: SourceOption,
    out: Out,
    items: Items = None,
    preset: Preset = None,
    config: Config = None,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nobody changes it)
    on_bad_row: OnBadRow = None,
    id_order: IdOrderOption = None,
    train: Annotated[bool, typer.Option("--train/--no-train", help="--no-train stops at the interest graphs")] = True,
) -> None:
    """Every stage from SRC to the table of results. A finished stage whose inputs did not change is kept."""
    from isrf.config import load_settings
    from isrf.data.source import parse_source
    from isrf.reasoning.reason import check_settings
    from isrf.remembered import kept_in, trying
    from isrf.workspace import Workspace

    # everything that can be wrong in the words of the command is found before a folder is made, and before torch is
    # loaded, which takes seconds
    check_settings(load_settings(preset, config, sets, kept_in(out)).reasoning)
    parse_source(data)
    workspace = Workspace.create(out)
    from isrf import pipeline, show

    with trying(workspace, data_sets(sets, on_bad_row, id_order), preset, config) as settings:
        finished = pipeline.run(workspace, data, items, settings, training=train)
    if finished:
        show.results(workspace)


app.command()(reason)


def stage_command(name: str, summary: str) -> None:
    """Register a command that runs one stage of a workspace."""
    rooms = {
        "embed": ("semantics",),
        "graph": ("graphs", "ranking"),
        "train": ("model", "training", "ranking"),
        "evaluate": ("evaluation",),
    }[name]

    def command(ws: Where, preset: Preset = None, config: Config = None, sets: Sets = []) -> None:  # noqa: B006
        from isrf import pipeline, show
        from isrf.remembered import settings_for, trying
        from isrf.workspace import Workspace

        workspace = Workspace.existing(ws)
        if processes.rank():  # the main process remembers the settings, and tells
            pipeline.train(workspace, settings_for(workspace, sets, preset, config, rooms, keep=False))
            return
        with trying(workspace, sets, preset, config, rooms=rooms) as settings:
            if name == "graph":
                pipeline.graph(workspace, settings)
                pipeline.weigh(workspace, settings)
            else:
                {"embed": pipeline.embed, "train": pipeline.train, "evaluate": pipeline.evaluate_methods}[name](
                    workspace, settings
                )
        if name == "evaluate":
            show.results(workspace)
        else:
            show.next_step(workspace, *NEXT[name])

    command.__doc__ = summary
    app.command(name)(command)


stage_command("embed", "Sentences to vectors: semantic features of items and users.")
stage_command("graph", "The semantic interaction graph and the similar-user graph; after this, `recommend` works.")
stage_command(
    "train",
    "The generator, by iterative batch optimisation; resumes where it was stopped (paper, step 3). Several processes: "
    "torchrun --nproc_per_node 2 -m isrf train WS",
)
stage_command(
    "evaluate", "Every method on the test items of the same users: one table, with intervals and paired tests."
)


app.command("bench", help=HELP)(bench)


@app.command()
def recommend(
    ws: Where,
    user: User = [],  # noqa: B006
    history: History = None,
    top: Annotated[int, typer.Option("--top", help="How many items")] = 10,
    task: TaskOption = TaskName.sr,
    format: Annotated[Format, typer.Option("--format", help="parquet needs --output")] = Format.table,
    output: Annotated[Path | None, typer.Option("--output", help="File to write instead of the screen")] = None,
    method: Method = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="A generated sentence for each item, where the data has review explanations"),
    ] = False,
) -> None:
    """Ranked items with reasons, for users of the log or for anybody's history. Without either: all users."""
    from isrf import show
    from isrf.answer import answer
    from isrf.remembered import kept_settings
    from isrf.workspace import Workspace

    workspace = Workspace.existing(ws)
    if format is Format.parquet and output is None:
        raise IsrfError("--format parquet writes a file: name it with --output FILE")
    if output is not None and output.is_dir():
        raise IsrfError(f"--output {output}: is a folder; name a file in it")
    if output is not None and not output.parent.is_dir():
        raise IsrfError(f"--output {output}: there is no folder {output.parent}; make it first")
    rows = answer(workspace, kept_settings(workspace), user, history, top, task_of(task), method, explain)
    show.recommendations(rows, format.value, output)


app.command("inspect")(inspect)
app.command("report")(report)


app.command("audit", help=AUDIT_HELP)(audit)


@app.command()
def doctor() -> None:
    """What this machine has, what is missing, and what to do about it."""
    from isrf import show
    from isrf.doctor import examine

    if not show.checks(examine()):
        raise typer.Exit(1)


def main() -> None:
    """Entry point: turns every foreseen failure into one line and an exit code."""
    debug = "--debug" in sys.argv[1:]
    try:
        status = app(standalone_mode=False)
        if status == INTERRUPTED:  # what later versions of typer make of Ctrl-C
            fail(KEPT, INTERRUPTED, debug)
        sys.exit(status if isinstance(status, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        fail(KEPT, INTERRUPTED, debug)
    except MISUNDERSTOOD as error:
        told = error.format_message().strip()
        if "\n" in told:  # a group of commands without a command: all its help
            print(told)
            sys.exit(2)
        context = getattr(error, "ctx", None)
        fail(f"{told} (see `{context.command_path if context else 'isrf'} --help`)", 2, debug)
    except IsrfError as error:
        fail(str(error), 2, debug)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:  # SystemExit
            raise
        told = line_of(error)
        if told is not None:
            fail(told, 2, debug)
        told = " ".join(str(error).split())
        fail(f"unforeseen {type(error).__name__}: {told}; `isrf --debug ...` shows where, please report it", 1, debug)


def fail(line: str, code: int, debug: bool) -> None:
    """Print one line and exit; with ``--debug`` the traceback of the current exception instead of the line alone."""
    if debug and sys.exception() is not None:  # typer swallows the one of Ctrl-C
        import traceback

        traceback.print_exc()
    who = f"isrf, process {processes.rank()}" if processes.rank() else "isrf"
    print(f"{who}: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
