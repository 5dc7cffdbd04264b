"""What a text shows: markup goes, and what only looks like it stays as it was."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.own_catalogues import write
from tests.growth import assert_linear

from isrf.core.config import DataSettings
from isrf.data.describe import told_of
from isrf.data.readers.catalogue_texts import CLEANED
from isrf.data.readers.markup import _TAG, _is_tag, shown
from isrf.data.readers.registry import read_dataset


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<b>Bold</b> kettle", "Bold kettle"),
        ("one<br>two<br/>three<BR />four", "one two three four"),
        ("<p class='a'>a</p><p>b</p>", "a b"),
        ("<ul><li>Iron</li><li>Steel</li></ul>", "Iron Steel"),
        ("H<sub>2</sub>O", "H2O"),
        ("<span>Red</span><span>Blue</span>.", "Red Blue."),
        ("AT&amp;amp;amp;T", "AT&T"),
        ("caf&eacute; &#233; &#xE9; caf&eacute", "café é é café"),
        ("it&#39s &amp Jerry&nbsp;&mdash; ok", "it's & Jerry — ok"),
        ("&lt;b&gt;Bold&lt;/b&gt; &amp;lt;i&amp;gt;new&amp;lt;/i&amp;gt;", "Bold new"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;hi", "hi"),
        ("<script>x<b>y</script>z<style>q{}</style><!-- c -->", "z"),
        ("<![CDATA[hi <b>x</b>]]>", "hi x"),
        ("<<b>b>x</b>", "x"),
        ("<o:p>Word</o:p> <foo>bar</foo> <x-y a='1'>z", "Word bar z"),
        ("<img src=x onerror=alert(1)>pic <a href='x>y'>link</a>", "pic link"),
        ('Great kettle <a href="http://sho', "Great kettle"),
        ("The end <br", "The end"),
        ("see https://a.b/c?d=e&f=g. And www.shop.com!", "see . And !"),
        ("[Kettle](https://x.y/z) (http://x.y) <http://x.y> now", "Kettle now"),
    ],
)
def test_markup_goes(text: str, read: str) -> None:
    assert shown(text) == read


@pytest.mark.parametrize(
    "text",
    [
        *("AT&T", "R&D", "Tom & Jerry", "x<3", "a < b and c > d", "if a<b and c>d", "1<2>0", "<3", "Price <$10", "x <= y >= z"),
        *("vector<int> and map<string, int>", "List<b>", "<title> by <author>", "<John Smith>", "is a <b"),
        *("Fetch&Bring dog toy", "AT&Tuml x", "B&Oring phone", "Q&Acircle", "Q&Uring x", "R&mdash x", "B&Oacutes"),
        *("Rock&reggae", "Copy&paste", "M&paradise", "Q&A; R&D;", "AT&T;", "a&b=c", "&notit;"),
        *("http", "www", "Amazon.com", "  two  blanks ", "line\nbreak", "50% & more"),
    ],
)  # fmt: skip
def test_what_is_no_markup_stays_as_it_was(text: str) -> None:
    assert shown(text) == text


HTML = "<b> </b> < > & &amp; &lt; &gt; &#60; &#x3c; amp; lt; b i br / script </script> <!-- --> http://x a=' |"
MARKS = st.sampled_from([*HTML.split(), " "])


@given(st.lists(MARKS | st.text(max_size=4), max_size=12).map("".join))
def test_no_markup_is_left_or_made(text: str) -> None:
    read = shown(text)
    assert shown(read) == read, "once more changes nothing"
    matches = list(_TAG.finditer(read))
    names = {end: {m.group("name").lower() for m in matches if bool(m.group("end")) is end} for end in (True, False)}
    assert not any(_is_tag(match, read, names[True] & names[False]) for match in matches)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("请看http://x.com/a，这是一个很好的红色水壶", "请看 ，这是一个很好的红色水壶"),
        ("水壶http://x.com/a红色", "水壶 红色"),
        ("水壶www.shop.cn红色", "水壶 红色"),
        ("Ring (https://x.y/z)for men", "Ring for men"),
        ("Ring [http://x.y/z]for men", "Ring for men"),
        ("see http://x.y/A_(b)/c?d[1]=2 now", "see now"),
        ("x http://a.b/c;Blue;Green", "x ;Blue;Green"),
        ("Kettle:https://a.b/c,Red", "Kettle: ,Red"),
        ("a http://a.b/c;id=4?x=1 b http://a.b/p,12,3.html c", "a b c"),
        ("a,http://a.b,http://c.d;www.e.f;Red", "a, , ; ;Red"),
        ("x[url=http://x.y]Zebra[/url] y", "x Zebra y"),
        ("x [img]http://x.y/z.png[/img] y", "x y"),
        ("a http://münchen.de/straße b", "a b"),
        ("{http://a.b}for men", "{ }for men"),
    ],
)
def test_the_text_around_a_link_stays(text: str, read: str) -> None:
    assert shown(text) == read
    assert shown(read) == read


@pytest.mark.parametrize(
    "part",
    ["http://a(", "http://a;", "http://a[b", "(http://a),", "www.a.b,", "http://a,b", "&Bring", "&amp", "[url=http://"],
)
def test_hostile_links_take_no_quadratic_time(part: str) -> None:
    assert_linear(lambda size: shown(part * size), 30_000)


@pytest.mark.parametrize(
    "part", ["<!--", "<b>", "&amp;lt;", '<a x="', "<![CDATA[", "<zz>", "<!DOCTYPE", "http://", "<b", "["]
)
def test_a_hostile_text_takes_no_quadratic_time(part: str) -> None:
    assert_linear(lambda size: shown(part * size), 50_000)


def test_every_text_of_a_catalogue_is_cleaned_ids_are_not_and_it_is_said(tmp_path: Path) -> None:
    rows = [
        {"item_id": f"i{n}&amp;", "title": "<b>Pan</b> &amp; lid", "brand": "A&amp;B", "categories": "Tea &amp; Co; Pots",
         "notes": "Boils. <i>Fast</i>."}
        for n in range(3)
    ]  # fmt: skip
    dataset = read_dataset(*write(tmp_path, "csv", rows), DataSettings(min_interactions=0))
    assert dataset.catalogue.rows()[0] == ("i0&amp;", "Pan & lid", "A&B", "Tea & Co|Pots", "Boils. Fast.")
    assert dataset.counts[CLEANED] == 12
    assert [line for line in told_of(dataset) if "12 cells (title 3, brand 3, categories 3, notes 3)" in line]


@pytest.mark.parametrize("fmt", ["csv", "jsonl"])
def test_a_name_that_is_nothing_but_markup_stays(tmp_path: Path, fmt: str) -> None:
    names = ["www.love.com", "http://maniac.com", "<i>", "<p>", "&lt;br&gt;", "<b>Pan</b> http://x.y"]
    rows = [{"item_id": f"i{n}", "title": t, "brand": t, "description": t + "\n"} for n, t in enumerate(names)]
    dataset = read_dataset(*write(tmp_path, fmt, rows), DataSettings(min_interactions=0))
    kept = [*names[:4], "<br>", "Pan"]
    assert dataset.catalogue["title"].to_list() == dataset.catalogue["brand"].to_list() == kept
    assert set(dataset.catalogue["description"]) == {"", "Pan"}


def test_a_catalogue_without_markup_is_what_it_was(tmp_path: Path) -> None:
    rows = [{"item_id": "i0", "title": "Tom & Jerry <3", "tags": "a < b"}]
    dataset = read_dataset(*write(tmp_path, "csv", rows), DataSettings(min_interactions=0))
    assert dataset.catalogue.rows() == [("i0", "Tom & Jerry <3", "a < b")] and CLEANED not in dataset.counts
    assert isinstance(dataset.catalogue, pl.DataFrame)
