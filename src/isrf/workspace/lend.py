"""A finished stage taken over from another workspace or version, its files linked. Knows nothing about what stages hold."""

from __future__ import annotations

from isrf.core.atomic_files import discard, link_or_copy, replacing_binary, sync_folder
from isrf.core.errors import IsrfError
from isrf.core.progress import note
from isrf.workspace.layout import STAGE_FILE
from isrf.workspace.stage import Stage
from isrf.workspace.stage_files import clear


def lend(lender: Stage, borrower: Stage) -> None:
    """Link the files of a finished stage, or copy them where links cannot be made; ``stage.json`` comes last."""
    info = lender.require()
    try:
        mine = borrower.info()
    except IsrfError as error:
        note(f"{error.args[0].partition(';')[0]}; taken from {lender.root} again")
        mine = None
    if mine is not None and (mine["key"], mine["files"]) == (info["key"], info["files"]):
        return
    record = (lender.folder / STAGE_FILE).read_bytes()
    discard(borrower.folder / STAGE_FILE)
    sync_folder(borrower.folder)
    clear(borrower.folder)  # files that another split had, and this one has not, would be read with it
    for name in info["files"]:
        link_or_copy(lender.file(name), borrower.folder / name)
    sync_folder(borrower.folder)
    with replacing_binary(borrower.folder / STAGE_FILE) as file:
        file.write(record)
