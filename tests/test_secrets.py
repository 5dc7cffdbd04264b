"""A key is in no file, no message and no log at any level; nobody's purchases are in any log, or in another's prompt."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.commands import Obstacle, Outcome, done, installed, isrf, refused, settings, signal_at
from tests.reasoning.scripted import Request, Response, Server, chat, scripted, sensible, status

KEY = "sk-canary-4f9b2c7e51d8a3f60b"
OTHER_KEY = "gw-canary-93d1e86b70c2ffa45e"
KEYS = {"OPENAI_API_KEY": KEY, "GATEWAY_API_KEY": OTHER_KEY}
PIECE = 8
"""So many characters of a key in a row give it away."""

SHELVES = {
    "ada-7731": ("zebrafern tea", "zebrafern cup", "zebrafern tin", "zebrafern jug", "moonquartz bowl"),
    "bob-5520": ("oxbowline rope", "oxbowline sail", "oxbowline cleat", "oxbowline flag", "starpumice lamp"),
    "cyd-9948": ("kettledrift drum", "kettledrift stick", "kettledrift skin", "kettledrift bag", "sunbasalt horn"),
}
"""What each person bought, oldest first, and nobody else did; titles of words that occur nowhere else."""
TASTES = ("zebrafern", "oxbowline", "kettledrift")
HELD_OUT = {user: titles[-2:] for user, titles in SHELVES.items()}


def shop(folder: Path, log: dict[str, tuple[str, ...]]) -> str:
    """A log with a catalogue of all titles, whoever buys them."""
    folder.mkdir(parents=True)
    titles = sorted(title for shelf in SHELVES.values() for title in shelf)
    ids = {title: f"p{n:02}" for n, title in enumerate(titles)}
    rows = [f"{user},{ids[title]},{n}" for user, shelf in log.items() for n, title in enumerate(shelf)]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    lines = [f"{ids[title]},{title},{title.split()[0]} house" for title in titles]
    (folder / "items.csv").write_text("\n".join(["item_id,title,brand", *lines]) + "\n")
    return f"csv:{folder}"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the shop's data; not to be changed."""
    folder = tmp_path_factory.mktemp("secrets")
    source = shop(folder / "shop", SHELVES)
    done(isrf("data", "import", source, "--out", folder / "ws", "--set", "data.min_interactions=0"))
    return folder / "ws"


@pytest.fixture
def ws(imported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imported, tmp_path / "ws"))


def everything_logged() -> None:
    """Every record of every library at every level on standard error, with all that it carries."""

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("LOGGED", record.name, record.getMessage(), record.__dict__, file=sys.stderr)

    logging.captureWarnings(True)
    logging.root.setLevel(1)
    logging.root.addHandler(Everything(1))
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.setLevel(1)
        logger.propagate, logger.disabled = True, False
    logging.getLogger("isrf.test").debug("heard")


def hurried() -> None:
    """Waits of hundredths of a second."""
    from isrf.reasoning.llm import rate_limit

    rate_limit.FIRST_WAIT_S, rate_limit.LONGEST_WAIT_S = 0.01, 0.02


WATCHED = (everything_logged, hurried)
LOUD = {**KEYS, "PYTHONASYNCIODEBUG": "1"}


def given(server: Server, **changes: object) -> list[str]:
    """``--set`` for each setting that reaches the server."""
    chosen = {
        "supplier": "openai",
        "base_url": server.url,
        "model": "m",
        "concurrency": 2,
        "patience_s": 0.3,
        "timeout_s": 30,
        **changes,
    }
    return [part for name, value in chosen.items() for part in ("--set", f"reasoning.{name}={value}")]


def told_by(what: bytes, secret: str) -> bool:
    """Whether a piece of a secret, plain or in base64 at any offset, is in some bytes."""
    plain = [secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)]
    coded = []
    for shift in range(3):
        whole = base64.b64encode(b" " * shift + secret.encode()).decode().rstrip("=")
        coded.append(whole[4:-4])
    return any(piece.encode() in what for piece in plain + coded)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: its bytes, and what tables and databases hold when they are read."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        name = str(path.relative_to(folder))
        found[name] = path.read_bytes()
        if path.suffix == ".parquet":
            found[f"{name} as a table"] = json.dumps(pl.read_parquet(path).rows(), default=str).encode()
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                rows = [list(connection.execute(f"SELECT * FROM {table}")) for table in tables]
            found[f"{name} as tables"] = json.dumps(rows, default=str).encode()
    return found


def assert_secret(outcome: Outcome, *folders: Path) -> None:
    """No key and no header anywhere; no purchase, prompt or person in what was printed or logged."""
    said = {"standard output": outcome.out.encode(), "standard error": outcome.err.encode()}
    for name, content in [*said.items(), *(pair for folder in folders for pair in contents(folder).items())]:
        for key in KEYS.values():
            assert not told_by(content, key), f"a key in {name}"
        assert b"Bearer" not in content and b"uthorization" not in content, f"a header in {name}"
    printed = (outcome.out + outcome.err).casefold()
    for word in (*TASTES, "moonquartz", "starpumice", "sunbasalt", *SHELVES):
        assert word not in printed, f"{word!r} was printed or logged"


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    """The other tests could not fail otherwise."""
    (tmp_path / "file").write_bytes(base64.b64encode(f"Basic :{KEY}".encode()))
    pl.DataFrame({"text": [f"{KEY} " * 3] * 500}).write_parquet(tmp_path / "t.parquet", compression="zstd")
    found = contents(tmp_path)
    assert told_by(found["file"], KEY) and told_by(found["t.parquet as a table"], KEY)
    assert told_by(KEY[5:14].encode(), KEY) and not told_by(KEY[:7].encode(), KEY)
    outcome = isrf("--version", obstacles=[everything_logged])
    assert "LOGGED isrf.test heard" in outcome.err


@pytest.mark.parametrize(("variable", "sent", "plan"), [
    pytest.param("OPENAI_API_KEY", KEY, "chained", marks=pytest.mark.slow),
    ("GATEWAY_API_KEY", OTHER_KEY, "single"),
])  # fmt: skip
def test_a_whole_run_keeps_the_key_to_itself(variable: str, sent: str, plan: str, tmp_path: Path) -> None:
    """From the log to the table: the key is sent to the endpoint, and is nowhere else.

    The usual variable and plan, which ``test_a_failure_tells_no_secret`` has, are in the slow tier.
    """
    source = shop(tmp_path / "shop", SHELVES)
    with scripted() as server:
        more = given(server, key_variable=variable, plan=plan)
        command = ("--debug", "run", "--data", source, "--out", tmp_path / "ws", *settings(), *more)
        outcome = done(isrf(*command, env=LOUD, obstacles=WATCHED))
        assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {sent}"}
        assert "LOGGED isrf.test heard" in outcome.err and "LOGGED asyncio" in outcome.err
    (tmp_path / "shop" / "log.csv").unlink()
    assert_secret(outcome, tmp_path / "ws")
    written = pl.read_parquet(tmp_path / "ws" / "reasoning" / "users.parquet")
    assert set(written["supplier"]) == {"openai"}, "the endpoint was asked about everybody"


@pytest.mark.slow
def test_from_a_cold_start(ws: Path) -> None:
    """The installed command with all warnings of Python and of its event loop.

    The other tests run it in forks of a process that has imported the libraries, and hear their logs at every level.
    """
    with scripted() as server:
        outcome = done(installed("--debug", "reason", ws, *given(server), env={**LOUD, "PYTHONWARNINGS": "always"}))
        assert server.requests
    assert_secret(outcome, ws)


def echoed(code: int, headers: dict[str, str] | None = None) -> Callable[[Request], Response]:
    """An error that quotes the key and all that it was sent."""
    return lambda request: status(
        code, f"{request.headers['authorization']} may not say {json.dumps(request.body['messages'])}", headers or {}
    )


def page(code: int) -> Callable[[Request], Response]:
    """The same as a page of a proxy on the way."""
    return lambda request: status(code, f"<pre>{request.headers['authorization']}\n{request.text}</pre>".encode(), {})


FAULTS: dict[str, tuple[Callable[[Request], Response], int]] = {
    "401 that quotes the key": (echoed(401), 2),
    "403 that quotes the key": (echoed(403), 2),
    "402 that quotes all": (echoed(402), 2),
    "404 that quotes all": (echoed(404), 2),
    "400 that quotes the prompt": (echoed(400), 0),
    "400 as a page": (page(400), 0),
    "422 that quotes the prompt": (echoed(422), 0),
    "429 that quotes all": (echoed(429, {"Retry-After": "3600"}), 2),
    "500 that quotes all": (echoed(500), 2),
    "502 as a page": (page(502), 2),
    "503 that quotes all": (echoed(503), 2),
    "sent on, with the key": (
        lambda r: Response(307, b"", {"Location": f"http://127.0.0.1:9/{KEY}?q={r.text[:9]}"}),
        2,
    ),
    "no answer in time": (lambda r: Response(hang=True), 2),
    "a reset": (lambda r: Response(body=b"x" * 500, cut_at=100, reset=True), 2),
    "no JSON": (lambda r: Response(body=f"{r.headers['authorization']} {r.text}".encode()), 2),
    "the question as the answer": (lambda r: chat(r.text), 0),
}
"""What the endpoint does with a question, and the exit code: 0 where the run goes on without some rows, or 2."""


WHEN = {"at once": True, "after negotiation": False}


def fault_and_time() -> Iterator[Any]:
    """Every fault at one of the two times, taken in turn; at the other in the slow tier."""
    for number, fault in enumerate(FAULTS):
        for turn, (when, at_once) in enumerate(WHEN.items()):
            marks = [pytest.mark.slow] if (number + turn) % 2 else []
            yield pytest.param(fault, at_once, id=f"{fault}-{when}", marks=marks)


@pytest.mark.parametrize(("fault", "at_once"), [*fault_and_time()])
def test_a_failure_tells_no_secret(fault: str, at_once: bool, ws: Path) -> None:
    """Whatever the endpoint says back: one clear line with our own words, or rows that say why in our own words."""
    respond, code = FAULTS[fault]

    def behaviour(request: Request, before: int) -> Response:
        return sensible(request, before) if "colour" in request.fields and not at_once else respond(request)

    with scripted(behaviour) as server:
        command = ("--debug", "reason", ws, *given(server, timeout_s=0.3))
        outcome = isrf(*command, env=LOUD, obstacles=WATCHED)
        assert server.requests
    assert outcome.code in (code, 2), outcome.err
    assert_secret(outcome, ws)
    if (ws / "reasoning" / "users.parquet").exists():
        why = pl.read_parquet(ws / "reasoning" / "users.parquet")["fallback"].to_list()
        assert not any(word in reason.casefold() for reason in why for word in TASTES)


def test_an_endpoint_that_is_not_there(ws: Path) -> None:
    with scripted() as server:
        server.down()
        outcome = isrf("--debug", "reason", ws, *given(server), env=LOUD, obstacles=WATCHED)
    assert outcome.code == 2 and "cannot be reached" in outcome.err
    assert_secret(outcome, ws)


def boom(place: str) -> None:
    """A fault of ours: that function raises something that nobody foresaw."""
    import pkgutil

    module, _, name = place.partition(":")

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    setattr(pkgutil.resolve_name(module), name, broken)


OURS: dict[str, tuple[Obstacle, int]] = {
    "Ctrl-C while it asks": (signal_at("isrf.reasoning.llm.batch_runner:judge", signal.SIGINT, 3), 130),
    "Ctrl-C while it waits": (
        signal_at("isrf.reasoning.llm.batch_runner:Client.complete", signal.SIGINT, 3, after=True),
        130,
    ),
    "killed": (signal_at("isrf.reasoning.llm.batch_runner:judge", signal.SIGKILL, 3), -signal.SIGKILL),
    "a fault in judging": (partial(boom, "isrf.reasoning.llm.batch_runner:judge"), 1),
    "a fault in reading": (partial(boom, "isrf.reasoning.llm.client:read_completion"), 1),
    "a fault in the tables": (partial(boom, "isrf.reasoning.reason:assemble"), 1),
}


@pytest.mark.parametrize("what", OURS)
def test_a_crash_of_ours_tells_no_secret(what: str, ws: Path) -> None:
    """Tracebacks and what a killed run leaves behind, its write-ahead log too."""
    obstacle, code = OURS[what]
    with scripted() as server:
        outcome = isrf("--debug", "reason", ws, *given(server), env=LOUD, obstacles=[*WATCHED, obstacle])
    assert outcome.code == code, outcome.err
    assert ("Traceback" in outcome.err) == (code == 1), outcome.err
    assert_secret(outcome, ws)
    if what == "killed":
        assert (ws / "reasoning" / "answers.sqlite-wal").exists()


MISPLACED = {
    "as the variable's name": f"reasoning.key_variable={KEY}",
    "as the variable's name in quotes": f"reasoning.key_variable='{KEY}'",
    "among names": f"reasoning.key_variable=[{KEY}]",
    "as a password": f"reasoning.base_url=https://user:{KEY}@example.com/v1",
    "as a user": f"reasoning.base_url=https://{KEY}@example.com/v1",
    "in the query": f"reasoning.base_url=https://example.com/v1?api-key={KEY}",
    "behind the address": f"reasoning.base_url=https://example.com/v1#{KEY}",
    "in the path": f"reasoning.base_url=https://example.com/{KEY}/v1",
    "in a list of addresses": f"reasoning.base_url=[https://user:{KEY}@example.com/v1]",
    "behind an open bracket": f"reasoning.base_url=[https://user:{KEY}@example.com/v1",
    "in no address": f"reasoning.base_url=user:{KEY}@example.com/v1",
    "as a setting of that name": f"reasoning.api_key={KEY}",
    "in the body": f"reasoning.extra_body={{api_key: {KEY}}}",
    "deep in the body": f"reasoning.extra_body={{options: {{headers: {{Authorization: Bearer {KEY}}}}}}}",
    "as a body": f"reasoning.extra_body={KEY}",
}


@pytest.mark.parametrize("how", ["reason", "estimate", "environment", "file"])
@pytest.mark.parametrize("where", MISPLACED)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(where: str, how: str, ws: Path, tmp_path: Path) -> None:
    """Whichever way the setting comes: one line without the key, nothing asked, nothing remembered."""
    before = contents(ws)
    address, _, value = MISPLACED[where].partition("=")
    name = address.removeprefix("reasoning.")
    env, command = dict(KEYS), ["reason", ws, "--supplier", "openai", "--set", "reasoning.model=m"]
    if how == "environment":
        env[f"ISRF_REASONING__{name.upper()}"] = value
    elif how == "file":
        (tmp_path / "mine.yaml").write_text(f"reasoning:\n  {name}: {value}\n")
        command += ["--config", tmp_path / "mine.yaml"]
    else:
        command += ["--set", MISPLACED[where], *(["--estimate"] if how == "estimate" else [])]
    outcome = isrf(*command, env=env)
    refused(outcome)
    assert_secret(outcome, ws)
    assert contents(ws) == before


def told(request: Request) -> str:
    """All that users' messages of a request say, worked examples included."""
    return "\n".join(str(message["content"]) for message in request.body["messages"]).casefold()


def about_users(server: Server) -> list[str]:
    return [text for request in server.requests if "one person bought" in (text := told(request))]


@pytest.mark.parametrize("plan", ["chained", "single"])
def test_a_prompt_holds_one_persons_training_purchases_and_nobody_elses(plan: str, ws: Path) -> None:
    with scripted() as server:
        done(isrf("reason", ws, *given(server, plan=plan)))
        prompts = about_users(server)
    assert prompts and len({taste for text in prompts for taste in TASTES if taste in text}) == len(TASTES)
    for text in prompts:
        assert sum(taste in text for taste in TASTES) == 1, "one person's purchases, and nobody else's"
        assert not any(title in text for titles in HELD_OUT.values() for title in titles)
        assert not any(user in text for user in SHELVES), "nobody is named"


@pytest.mark.parametrize("budget", [None, "5items"])
def test_held_out_purchases_change_no_question(budget: str | None, tmp_path: Path) -> None:
    """Other last and second-last purchases for everybody: the same questions about the same items and users."""
    favourite = SHELVES["ada-7731"][-1]
    everything = [title for titles in SHELVES.values() for title in titles if title != favourite]
    others = {
        user: (*titles[:3], next(title for title in everything if title not in titles), favourite)
        for user, titles in SHELVES.items()
    }
    asked = []
    with scripted() as server:
        for n, log in enumerate((SHELVES, others)):
            source, ws = shop(tmp_path / f"shop{n}", log), tmp_path / f"ws{n}"
            done(isrf("data", "import", source, "--out", ws, "--set", "data.min_interactions=0"))
            done(isrf("reason", ws, *given(server, concurrency=1), *(["--budget", budget] if budget else [])))
            asked.append([request.body for request in server.requests])
            server.requests.clear()
    assert len(asked[0]) > 10 and asked[0] == asked[1]
