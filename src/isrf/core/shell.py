"""Commands and options as messages suggest them, quoted so that pasting one does what it says. Runs nothing."""

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


def setting(name: str, value: object) -> str:
    """The option that gives a setting, as a shell takes it and ``setting_text`` reads it.

    >>> setting("data.title_column", "Bezeichnung"), setting("data.time_column", "wann war's?")
    ('--set data.title_column=Bezeichnung', '--set \\'data.time_column=wann war\\'"\\'"\\'s?\\'')
    """
    return f"--set {quoted(f'{name}={typed(value)}')}"


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
