"""The user's own templates: what they may say, what they may not, and one clear line for each fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.reasoning.llm.prompt_templates import EXAMPLES, load_templates
from isrf.reasoning.llm.prompts import prompt_of

SETTINGS = ReasoningSettings()


def overridden(folder: Path, **files: str) -> ReasoningSettings:
    """Settings with a folder of templates; ``item_likes="..."`` writes item_likes.jinja."""
    for name, text in files.items():
        (folder / f"{name}.jinja").write_text(text, "utf-8")
    return ReasoningSettings(prompts=folder)


def refused(settings: ReasoningSettings) -> str:
    """The one line that tells why."""
    with pytest.raises(IsrfError) as caught:
        prompt_of("item", settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_the_folder_replaces_the_packages_of_that_name(tmp_path: Path) -> None:
    settings = overridden(tmp_path, system="You sell {{ domain }}.")
    assert prompt_of("item", settings).opening[0]["content"] == "You sell items."
    assert prompt_of("item", settings).opening[1:] == prompt_of("item", SETTINGS).opening[1:]


def test_a_version_changes_with_what_it_is_made_of_and_with_nothing_else(tmp_path: Path) -> None:
    settings = overridden(tmp_path, item_feature="Tell the feature of <data>{{ title }}</data>.")
    before, after = prompt_of("item", SETTINGS), prompt_of("item", settings)
    assert before.version != after.version
    changed = [name for name in before.versions if before.versions[name] != after.versions[name]]
    assert changed == ["feature"]
    assert prompt_of("user", settings).version == prompt_of("user", SETTINGS).version


def test_examples_of_users_are_no_part_of_what_items_are_asked(tmp_path: Path) -> None:
    examples = load_templates(None).examples
    examples["user"]["dialogues"][0]["likes"] = "Quiet mornings with loose-leaf tea."
    (tmp_path / EXAMPLES).write_text(json.dumps(examples), "utf-8")
    settings = ReasoningSettings(prompts=tmp_path)
    assert prompt_of("item", settings).versions == prompt_of("item", SETTINGS).versions
    assert prompt_of("user", settings).versions["likes"] != prompt_of("user", SETTINGS).versions["likes"]


def test_hidden_files_of_editors_are_no_templates(tmp_path: Path) -> None:
    (tmp_path / ".item_likes.jinja.swp").write_bytes(b"\xff\x00")
    assert load_templates(tmp_path).sources == load_templates(None).sources


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{% for x in %}", "item_likes.jinja, line 2: "),
        ("{{ title", "item_likes.jinja, line 1: "),
        ("one\ntwo {{ titel }}", "'titel' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ title + 1 }}", "item_likes.jinja"),
        ("{% include 'system.jinja' %}", "item_likes.jinja"),
        ("{% for n in range(10 ** 9) %}{% endfor %}", "item_likes.jinja"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "item_likes.jinja"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ attributes.append('x') }}", "item_likes.jinja"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe"),
        ("Who likes {{ title }}?", "stands outside of <data> and </data>"),
        ("{{ title | upper }} <data>{{ title }}</data>", "stands outside"),
        ("{{ title[:9] | urlencode }} <data>{{ title }}</data>", "stands outside"),
        ("<data>{{ title }}</data> {{ attributes | tojson }}", "stands outside"),
        ("<data>{{ title }}", "stands outside"),
        ("</data>{{ title }}<data>", "stands outside"),
    ],
)
def test_a_template_that_is_none_or_asks_for_too_much(tmp_path: Path, text: str, said: str) -> None:
    line = refused(overridden(tmp_path, item_likes=text))
    assert said in line and str(tmp_path / "item_likes.jinja") in line


def test_a_broken_template_of_users_is_told_before_items_are_asked_about(tmp_path: Path) -> None:
    assert "user_single.jinja, line 1" in refused(overridden(tmp_path, user_single="{{"))


def test_a_file_that_is_no_prompt(tmp_path: Path) -> None:
    line = refused(overridden(tmp_path, item_dislike="x"))
    assert "item_dislike.jinja: no prompt has that name" in line and "item_dislikes.jinja" in line


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "system.jinja").write_bytes(b"\xff\xfe")
    assert "system.jinja: is not UTF-8 text" in refused(ReasoningSettings(prompts=tmp_path))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    line = refused(ReasoningSettings(prompts=tmp_path / "none"))
    assert "none: No such file or directory; set reasoning.prompts" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "needs an object 'item'"),
        ('{"item": {"asks": {}}}', "item.asks"),
        ('{"item": 3}', "needs an object 'item'"),
    ],
)
def test_examples_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / EXAMPLES).write_text(text)
    line = refused(ReasoningSettings(prompts=tmp_path))
    assert said in line and str(tmp_path / EXAMPLES) in line


def test_an_example_without_an_answer_is_named(tmp_path: Path) -> None:
    examples = load_templates(None).examples
    del examples["user"]["dialogues"][1]["feature"]
    (tmp_path / EXAMPLES).write_text(json.dumps(examples))
    assert "user.dialogues[1]" in refused(ReasoningSettings(prompts=tmp_path))


def test_a_template_that_is_a_link_to_another_file_is_not_sent(tmp_path: Path) -> None:
    """A folder of prompts from somebody else; links within it, as mounted folders of servers have them, are fine."""
    (tmp_path / "secret").write_text("canary-2f81")
    folder = tmp_path / "prompts"
    (folder / "data").mkdir(parents=True)
    (folder / "system.jinja").symlink_to(tmp_path / "secret")
    line = refused(ReasoningSettings(prompts=folder))
    assert "system.jinja: a link out of the folder" in line and "canary" not in line
    (folder / "system.jinja").unlink()
    (folder / "data" / "system.jinja").write_text("You sell {{ domain }}.")
    (folder / "system.jinja").symlink_to(Path("data") / "system.jinja")
    assert prompt_of("item", ReasoningSettings(prompts=folder)).opening[0]["content"] == "You sell items."
