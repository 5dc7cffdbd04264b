"""The command line: parses, calls the pipeline, prints. Decides nothing.

Exit codes: 0 done, 1 a fault of ours, 2 bad input (one clear line on standard error), 3 a leak found by `isrf audit
--strict`, 130 stopped with Ctrl-C.
``--debug`` before the command shows the traceback.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated, Any

import typer

from isrf import __version__
from isrf.cli.audit import HELP as AUDIT_HELP
from isrf.cli.audit import audit
from isrf.cli.bench import HELP, bench
from isrf.cli.data import data_app
from isrf.cli.doctor import doctor
from isrf.cli.forget import forget
from isrf.cli.inspect import inspect
from isrf.cli.reason import reason
from isrf.cli.recommend import recommend
from isrf.cli.report import report
from isrf.cli.run import run
from isrf.cli.similar import similar
from isrf.cli.stages import embed, evaluate, graph, train
from isrf.cli.update import update
from isrf.core import distributed, streams
from isrf.core.errors import IsrfError
from isrf.core.openmp import wait_asleep
from isrf.core.process_limits import check_limits
from isrf.core.shell import command_line, speak_to_shell
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
LINE_BREAKS = re.compile(r"[ \t]*[\r\n]+[ \t]*")
KEPT = "stopped: finished work is saved; rerun the command to resume"

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


app.command()(run)
app.command()(reason)
app.command()(embed)
app.command()(graph)
app.command()(train)
app.command()(evaluate)


app.command("bench", help=HELP)(bench)


app.command()(recommend)
app.command()(similar)
app.command()(inspect)
app.command()(report)
app.command()(update)
app.command()(forget)


app.command("audit", help=AUDIT_HELP)(audit)
app.command()(doctor)


def main() -> None:
    """Entry point: every foreseen failure is one line and an exit code, and nothing that is printed can fail a command."""
    streams.tolerate()
    speak_to_shell()
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
        tell(f"{why}, so the answer is lost; fix that, or write it to a file with --output where the command has it")
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
