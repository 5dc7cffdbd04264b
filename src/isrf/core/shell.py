"""Commands, settings and arguments as messages suggest them: pasting one does what it says. Runs nothing.

Whoever calls the library reads arguments and settings (``items``, ``data.header='none'``); ``cli`` has them in the words of
a shell (``--items``, ``--set data.header=none``), quoted for it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from isrf.core.setting_text import typed
from isrf.core.terminal_text import HIDDEN, escape_of


def command_line(*words: str | Path) -> str:
    r"""A command that can be pasted into a shell: every word is quoted where it needs it, the placeholders in capitals too.

    A path that begins with a hyphen is no option. Control characters stand as escapes in ``$'...'`` (bash, zsh, ksh).

    >>> command_line("isrf", "recommend", Path("my ws"), "--user", "I3,';touch PWNED;'")
    'isrf recommend \'my ws\' --user \'I3,\'"\'"\';touch PWNED;\'"\'"\'\''
    >>> command_line("isrf", "embed", Path("-ws"), "--user", "a\x1bb")
    "isrf embed ./-ws --user $'a\\x1bb'"
    """
    return " ".join(
        quoted(f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)) for word in words
    )


OPTIONS = {"data.on_bad_row": "--on-bad-row", "reasoning.supplier": "--supplier", "reasoning.budget": "--budget"}
"""Settings with an option of their own -> its name."""

_audience = {"shell": False}


def speak_to_shell(on: bool = True) -> None:
    """Whether messages of this process are read at a terminal (``cli``), and not by whoever calls the library."""
    _audience["shell"] = on


def in_shell() -> bool:
    """What ``speak_to_shell`` set; false where nobody did."""
    return _audience["shell"]


def setting(name: str, value: object) -> str:
    """A setting with its value: as Python has it, or the option that a shell takes and ``setting_text`` reads.

    Numbers are shown with six digits.

    >>> print(setting("data.time_column", "wann war's?"), setting("data.split_at", None))
    data.time_column="wann war's?" data.split_at=None
    >>> speak_to_shell(); (setting("data.time_column", "wann"), setting("data.on_bad_row", "skip")); speak_to_shell(False)
    ('--set data.time_column=wann', '--on-bad-row skip')
    """
    if isinstance(value, float):
        value = int(value) if value.is_integer() else float(f"{value:g}")
    if not in_shell():
        return f"{name}={value!r}"
    if name in OPTIONS:
        return f"{OPTIONS[name]} {quoted('none' if value is None else typed(value))}"
    return f"--set {quoted(f'{name}={typed(value)}')}"


def together(settings: Iterable[str]) -> str:
    """Settings of one call, or options of one command, each as ``setting`` gives it."""
    return (" " if in_shell() else ", ").join(settings)


def given_as(text: str) -> str:
    """A setting as it was given, right or wrong, at the beginning of a message."""
    return f"--set {text}" if in_shell() else f"setting {text}"


def argument(name: str) -> str:
    """An argument of a call, or the option of that name.

    >>> argument("items"), argument("items_to_recommend")
    ('items', 'items_to_recommend')
    >>> speak_to_shell(); argument("items_to_recommend"); speak_to_shell(False)
    '--items-to-recommend'
    """
    return f"--{name.replace('_', '-')}" if in_shell() else name


def run_call(out: str | Path, *command: str) -> str:
    """What makes a workspace, or with ``command`` the stage ``dataset`` of one: ``isrf.run``, or a command.

    >>> run_call("my ws")
    "isrf.run('SRC', out='my ws')"
    >>> speak_to_shell(); (run_call("my ws"), run_call("ws", "data", "import")); speak_to_shell(False)
    ("isrf run --data SRC --out 'my ws'", 'isrf data import SRC --out ws')
    """
    if not in_shell():
        return f"isrf.run('SRC', out={str(out)!r})"
    return command_line("isrf", *(command or ("run", "--data")), "SRC", "--out", out)


def list_of_ids(ids: Iterable[str]) -> str:
    """Ids with commas between, as one line of a CSV file: what ``--history`` takes.

    >>> list_of_ids(["a", "b,c"])
    'a,"b,c"'
    """
    apart = re.compile(r'[,"\r\n]|^\s|\s$')
    return ",".join('"{}"'.format(one.replace('"', '""')) if apart.search(one) or not one else one for one in ids)


def quoted(word: str) -> str:
    """One word of a command."""
    if not HIDDEN.search(word):
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + HIDDEN.sub(lambda found: escaped(found[0]), plain) + "'"


def escaped(character: str) -> str:
    r"""A control character within ``$'...'``: bytes that are no UTF-8 are arguments as they came, others \x1b, \u009b."""
    code = ord(character)
    return (
        f"\\x{code - 0xDC00:02x}"
        if 0xDC80 <= code <= 0xDCFF
        else f"\\u{code:04x}"
        if 0x80 <= code < 0x100
        else escape_of(character)
    )
