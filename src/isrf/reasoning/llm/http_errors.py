"""What an HTTP error means: for one request, for all of them, or for the address. Sends nothing and waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from time import time

from isrf.core.errors import IsrfError
from isrf.reasoning.llm.chat_path import versioned
from isrf.reasoning.llm.endpoint_address import place
from isrf.reasoning.llm.endpoint_errors import ErrorObject, quotes
from isrf.reasoning.llm.rate_limit import Failure

TRANSIENT = (408, 409, 425, 429)
"""HTTP statuses below 500 after which the same request may well be answered; 500 and above are all of that sort."""
OVERLOADED = (503, 529)
"""Those that concern every request alike."""
KEPT = "answers so far are kept, if there are any; run again to go on"


@dataclass(frozen=True)
class Asked:
    """Who was asked.

    Attributes:
        url: base URL that the request went to.
        given: base URL of the settings; another one while the right one is looked for.
        usual: whether it is OpenAI's own, which needs no looking for.
        model: as the endpoint names it.
        key: "" where there is none.
        key_variable: the environment variable that the key comes from.
    """

    url: str
    given: str
    usual: bool
    model: str
    key: str
    key_variable: str


class Refused(Exception):
    """The endpoint does not want this one request; the text says why, and is safe to show.

    Attributes:
        about: the parameter that it names as the reason ("max_tokens"), "" where it names none.
    """

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.about = about


class NotHere(Exception):
    """There is not a chat endpoint at this address; the text says what there is."""


class Unanswered(Exception):
    """This one request failed again and again while others were answered; the text says how."""


def meaning_of(
    status: int,
    name: str,
    error: ErrorObject,
    headers: Mapping[str, str],
    asked: Asked,
    prompts: Sequence[str],
    answered: bool,
) -> Exception:
    """The exception that an error is: Refused, Failure, NotHere, or IsrfError where it concerns every request.

    Args:
        status: of the response, or under 200 the one that it should have had.
        name: how the status is told.
        error: what the body says; its words are told unless they quote the key or a prompt.
        prompts: messages that were sent.
        answered: whether the endpoint ever answered.
    """
    told = bool(error.message) and not quotes(error.message, prompts, asked.key)
    said = f" ({error.message})" if told else ""
    searching = not answered and asked.url != asked.given
    if searching and not error.message and (300 <= status < 400 or status == 403):
        return NotHere(name)  # a site that sends whom it does not know to its front page
    if status == 401 or (status == 403 and not answered):
        if not asked.key:
            return IsrfError(f"{asked.url}: asks for a key ({name}): set {asked.key_variable}; {KEPT}")
        return IsrfError(f"{asked.url}: does not accept the key in {asked.key_variable} ({name}); {KEPT}")
    if status == 402 or (status == 429 and error.out_of_money):
        return IsrfError(f"{asked.url}: the account has nothing left to spend ({name}){said}; {KEPT}")
    if status in (404, 405):
        lost = not answered and not asked.usual and not error.names_model
        if lost and (searching or status == 404 or not versioned(asked.url)):
            return NotHere(name + said)
        return IsrfError(
            f"{asked.url}: does not know model {asked.model!r} or is not a chat endpoint ({name}){said}; "
            f"check reasoning.model and reasoning.base_url; {KEPT}"
        )
    if status == 407:
        return IsrfError(f"{asked.url}: the proxy on the way asks for credentials ({name}); set them in HTTPS_PROXY")
    if 300 <= status < 400:
        where = place(headers.get("Location", ""))
        if quotes(where, prompts, asked.key):
            where = ""
        return IsrfError(
            f"{asked.url}: redirects to {where or 'another address'} ({name}); set reasoning.base_url to it"
        )
    if status in TRANSIENT or status >= 500:
        asked_s = seconds_of(headers) if status in (429, 503) else None
        return Failure(name + said, asked_s, throttled=status == 429, general=status in OVERLOADED)
    return Refused(name + said, error.about)


def seconds_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` (seconds or a date) or ``retry-after-ms`` asks for; None where neither can be read."""
    for name, unit in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        try:
            seconds = float(str(headers.get(name, ""))) * unit
        except ValueError:
            continue
        if isfinite(seconds):
            return min(max(seconds, 0.0), 1e6)
    try:
        seconds = parsedate_to_datetime(str(headers.get("Retry-After", ""))).timestamp() - time()
        return min(max(seconds, 0.0), 1e6)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
