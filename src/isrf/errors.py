"""The one exception that users are meant to see. Knows nothing about any room."""


class IsrfError(Exception):
    """Something the user can put right: the message is one clear line that says what and how.

    The command line prints it and exits with code 2; a library caller catches it like any exception.
    """
