"""The command line: parses, calls the pipeline, prints. Decides nothing.

Exit codes: 0 done, 1 a fault of ours, 2 bad input (one clear line on standard error), 3 a leak found by `isrf audit
--strict`, 130 stopped with Ctrl-C.
``--debug`` before the command shows the traceback.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from isrf import __version__
from isrf.cli.audit import HELP as AUDIT_HELP
from isrf.cli.audit import audit
from isrf.cli.bench import HELP, bench
from isrf.cli.data import data_app, data_sets
from isrf.cli.inspect import inspect, report
from isrf.cli.options import (
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
    check_top,
    history_of,
    task_of,
)
from isrf.cli.reason import reason
from isrf.core import distributed, streams
from isrf.core.errors import IsrfError
from isrf.core.openmp import wait_asleep
from isrf.core.process_limits import check_limits
from isrf.core.shell import command_line
from isrf.core.system_errors import line_of
from isrf.core.terminal_text import visible, visible_lines

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
LINE_BREAKS = re.compile(r"[ \t]*[\r\n]+[ \t]*")
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
    distributed.check_shared(context.invoked_subcommand)
    if context.invoked_subcommand != "doctor" and "--help" not in sys.argv:  # the doctor tells of limits itself
        for line in check_limits(context.invoked_subcommand):
            tell(line)


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
    from isrf.core.config import load_settings
    from isrf.data.readers.registry import parse_source
    from isrf.pipeline.stage_settings import trying
    from isrf.reasoning.reason import check_settings
    from isrf.workspace.saved_settings import saved_settings_file
    from isrf.workspace.workspace import Workspace

    # everything that can be wrong in the words of the command is found before a folder is made, and before torch is
    # loaded, which takes seconds
    check_settings(load_settings(preset, config, sets, saved_settings_file(out)).reasoning)
    parse_source(data)
    workspace = Workspace.create(out)
    with workspace.held():
        from isrf.cli.printing import tables
        from isrf.pipeline import run as pipeline

        with trying(workspace, data_sets(sets, on_bad_row, id_order), preset, config) as settings:
            finished = pipeline.run(workspace, data, items, settings, training=train)
        if finished:
            tables.results(workspace)


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
        from isrf.pipeline.stage_settings import settings_for, trying
        from isrf.workspace.workspace import Workspace

        workspace = Workspace.existing(ws)
        if distributed.rank():  # the main process holds the workspace, remembers the settings, and tells
            from isrf.pipeline import run as pipeline

            pipeline.train(workspace, settings_for(workspace, sets, preset, config, rooms, keep=False))
            return
        with workspace.held():
            from isrf.cli.printing import tables
            from isrf.pipeline import run as pipeline

            with trying(workspace, sets, preset, config, rooms=rooms) as settings:
                if name == "graph":
                    pipeline.graph(workspace, settings)
                    pipeline.fit_ranking(workspace, settings)
                else:
                    {"embed": pipeline.embed, "train": pipeline.train, "evaluate": pipeline.evaluate_methods}[name](
                        workspace, settings
                    )
            if name == "evaluate":
                tables.results(workspace)
            else:
                tables.next_step(workspace, *NEXT[name])

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
    history: History = [],  # noqa: B006
    top: Annotated[int, typer.Option("--top", help="How many items")] = 10,
    task: TaskOption = TaskName.sr,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="Default: what the ending of --output says, else table; parquet needs --output"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write instead of the screen: .txt .md .json .jsonl .csv .parquet"),
    ] = None,
    method: Method = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="A generated sentence for each item, where the data has review explanations"),
    ] = False,
) -> None:
    """Ranked items with reasons, for users of the log or for anybody's history. Without either: all users."""
    from isrf.cli.output_files import check_output, format_of
    from isrf.cli.printing import tables
    from isrf.recommender.answer import answer
    from isrf.workspace.saved_settings import saved_settings
    from isrf.workspace.workspace import Workspace

    check_top(top)
    person = history_of(history)
    written_as = format_of(output, format.value if format else None, tuple(Format), Format.table)
    if written_as == Format.parquet and output is None:
        raise IsrfError("--format parquet writes a file: name it with --output FILE")
    check_output(output)
    workspace = Workspace.existing(ws)
    rows = answer(workspace, saved_settings(workspace), user, person, top, task_of(task), method, explain)
    tables.recommendations(rows, written_as, output)


app.command("inspect")(inspect)
app.command("report")(report)


app.command("audit", help=AUDIT_HELP)(audit)


@app.command()
def doctor() -> None:
    """What this machine has, what is missing, and what to do about it."""
    from isrf.cli.doctor import examine
    from isrf.cli.printing import tables

    if not tables.checks(examine()):
        raise typer.Exit(1)


def main() -> None:
    """Entry point: every foreseen failure is one line and an exit code, and nothing that is printed can fail a command."""
    streams.tolerate()
    debug = "--debug" in sys.argv[1:]
    wait_asleep(os.environ)
    code = outcome(debug)
    lost = streams.unwritten()
    if lost is None or isinstance(lost, BrokenPipeError):  # whoever read it has read enough
        sys.exit(code)
    why = f"standard output could not be written ({lost.strerror})"
    if (remedy := streams.still_there()) is not None:
        tell(f"{why}; {remedy}")
    elif code == 0:
        code = 2
        tell(f"{why}, so the answer is lost; mend that, or write it to a file with --output where the command has it")
    sys.exit(code)


def outcome(debug: bool) -> int:
    """Run the command that was typed; its exit code, after one line where it failed."""
    try:
        status = app(standalone_mode=False)
        if status == INTERRUPTED:  # what later versions of typer make of Ctrl-C
            return fail(KEPT, INTERRUPTED, debug)
        return status if isinstance(status, int) else 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except (KeyboardInterrupt, typer.Abort):
        return fail(KEPT, INTERRUPTED, debug)
    except MISUNDERSTOOD as error:
        told = error.format_message().strip()
        if "\n" in told:  # a group of commands without a command: all its help
            print(told)
            return 2
        context = getattr(error, "ctx", None)
        page = command_line(*(context.command_path if context else "isrf").split(), "--help")
        return fail(f"{told} (see `{page}`)", 2, debug)
    except IsrfError as error:
        return fail(str(error), 2, debug)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        told = line_of(error)
        if told is not None:
            return fail(told, 2, debug)
        told = f"unforeseen {type(error).__name__}: {error}"
        return fail(f"{told}; `{command_line('isrf', '--debug', '...')}` shows where, please report it", 1, debug)


def fail(line: str, code: int, debug: bool) -> int:
    """Print one line, give the code back; with ``--debug`` the traceback of the current exception before the line."""
    if debug and sys.exception() is not None:  # typer swallows the one of Ctrl-C
        import traceback

        print(visible_lines(traceback.format_exc()), file=sys.stderr, end="")
    tell(line)
    return code


def tell(line: str) -> None:
    """One line on standard error, control characters in what it quotes as escapes."""
    who = f"isrf, process {distributed.rank()}" if distributed.rank() else "isrf"
    print(f"{who}: {visible(LINE_BREAKS.sub(' ', line.strip()))}", file=sys.stderr)


if __name__ == "__main__":
    main()
