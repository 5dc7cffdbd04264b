"""What messages suggest: the commands and options in them, taken out as somebody would paste them, and looked at."""

from __future__ import annotations

import re
import shlex
from typing import Any

import typer.main

from isrf.cli.main import MISUNDERSTOOD, app
from isrf.core.config import load_settings

PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*(,[A-Z]+)*")


def words_from(text: str, most: int) -> list[str]:
    """The first words of a text, as a shell reads them; a comma or semicolon of the sentence behind the last is no part."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    found = []
    for _ in range(most):
        word = lexer.get_token()
        if word is None:
            break
        found.append(word)
    return [*found[:-1], found[-1].rstrip(",;")]


def settings_in(message: str) -> list[str]:
    """ "room.name=value" of each ``--set`` that a message suggests."""
    return [words_from(message[at.start() :], 2)[1] for at in re.finditer(r"--set (?=\S*\w+\.\w)", message)]


def commands_in(message: str) -> list[list[str]]:
    """Words behind ``isrf`` of each command in backquotes."""
    return [shlex.split(found)[1:] for found in re.findall(r"`(isrf [^`]*)`", message)]


def understood(words: list[str]) -> None:
    """Assert that the command line knows the command and its options."""
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if word not in ("--debug", "...")]
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        command.make_context(command.name, [*rest])
    except MISUNDERSTOOD as error:
        named_only = "Missing" in error.format_message()  # "`isrf train` shares its work out" is no command to paste
        assert named_only, f"isrf {shlex.join(words)}: {error.format_message()}"


def all_true(message: str) -> list[str]:
    """Assert that everything a message suggests exists and is accepted; its settings."""
    for words in commands_in(message):
        understood(words)
    sets = settings_in(message)
    assert sets or commands_in(message) or "--set" not in message, message
    load_settings(overrides=sets)
    return sets
