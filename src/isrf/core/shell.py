"""Commands and options as messages suggest them, quoted so that pasting one does what it says. Runs nothing."""

from __future__ import annotations

import shlex
from pathlib import Path


def command_line(*words: str | Path) -> str:
    r"""A command that can be pasted into a shell: every word is quoted where it needs it, the placeholders in capitals too.

    >>> command_line("isrf", "recommend", Path("my ws"), "--user", "I3,';touch PWNED;'")
    'isrf recommend \'my ws\' --user \'I3,\'"\'"\';touch PWNED;\'"\'"\'\''
    """
    return shlex.join(str(word) for word in words)


def setting(name: str, value: object) -> str:
    """The option that gives a setting, as a shell takes it.

    >>> setting("data.title_column", "Bezeichnung"), setting("data.time_column", "wann war's?")
    ('--set data.title_column=Bezeichnung', '--set \\'data.time_column=wann war\\'"\\'"\\'s?\\'')
    """
    return f"--set {shlex.quote(f'{name}={value}')}"
