"""The command `isrf forget`: parses, calls, prints. Decides nothing."""

from __future__ import annotations

from isrf.cli.options import User, UsersFile, Where
from isrf.core.errors import IsrfError
from isrf.core.terminal_text import visible


def forget(ws: Where, user: User = [], users_file: UsersFile = None) -> None:  # noqa: B006
    """Take people out of a workspace: out of every file, version and store; what was counted is counted anew."""
    from isrf.cli.filters import ids_of_file
    from isrf.pipeline.forget import forgetting

    if not user and users_file is None:
        raise IsrfError("forget whom? --user ID names a person, --users-file FILE several")
    listed = [] if users_file is None else [name for _, name in ids_of_file(users_file, (), "--users-file")]
    users = [*user, *listed]
    with forgetting(ws, users) as (_, lines):
        for line in lines:
            print(visible(line))
