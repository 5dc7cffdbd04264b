"""Function words of the catalogue's own languages are no terms; English catalogues are read as they were."""

from __future__ import annotations

import polars as pl
import pytest

from isrf.data.dataset import Columns
from isrf.data.training_data import Catalogue
from isrf.reasoning.attributes.function_words import Wording, function_words, wording_of
from isrf.reasoning.attributes.terms import Terms, read_terms
from isrf.reasoning.languages import detected
from isrf.reasoning.text import words

SHOPS = {
    "de": (
        ["Spaten für den Garten", "Topf mit Deckel", "Geige und Bogen"],
        ["Ein Werkzeug für den Garten, das damit auch bei Regen hält.", "Diese Uhr wurde dafür gemacht und ist seitdem dabei."],
        "für den mit und das damit auch bei diese wurde dafür ist seitdem dabei ein",
        "garten werkzeug uhr topf",
    ),
    "fr": (
        ["Bouilloire en acier", "L'arrosoir de l'été", "Violon pour débutants"],
        ["Une bouilloire qui chauffe l'eau et s'arrête lorsqu'elle est vide.", "C'est un outil dont vous avez besoin au jardin."],
        "une qui l'eau lorsqu'elle elle est c'est dont vous avez pour l'arrosoir",
        "eau arrosoir acier outil jardin",
    ),
    "es": (
        ["Tetera de acero", "Rastrillo para el jardín", "Violín con arco"],
        ["Una tetera que hierve el agua y se apaga sola.", "También es ideal para tu jardín porque está hecho de madera."],
        "una que para también porque está con",
        "tetera agua madera jardín arco",
    ),
    "it": (
        ["Bollitore in acciaio", "Rastrello da giardino", "Violino dell'orchestra"],
        ["Un bollitore che scalda l'acqua anche quando piove.", "È perfetto per il giardino della nonna."],
        "che anche quando per della dell'orchestra l'acqua",
        "bollitore acqua orchestra giardino nonna",
    ),
    "pt": (
        ["Chaleira de aço", "Ancinho para jardim"],
        ["Uma chaleira que ferve a água também quando chove.", "É ideal para o seu jardim porque não é pesado."],
        "uma que também quando para seu porque não",
        "chaleira água jardim",
    ),
    "nl": (
        ["Waterkoker van staal", "Hark voor de tuin"],
        ["Een waterkoker die het water kookt en zichzelf uitschakelt.", "Deze hark is ook geschikt voor kinderen."],
        "een die het zichzelf deze ook voor van",
        "waterkoker hark kinderen tuin",
    ),
    "sv": (
        ["Vattenkokare av stål", "Kratta för trädgården"],
        ["En vattenkokare som kokar vattnet och stängs av själv.", "Den här krattan är inte tung för barn."],
        "som och själv den inte för",
        "vattenkokare krattan barn",
    ),
    "pl": (
        ["Czajnik ze stali", "Grabie do ogrodu"],
        ["Czajnik, który gotuje wodę i sam się wyłącza.", "Jest idealny dla dzieci, ponieważ nie jest ciężki."],
        "który sam się jest dla ponieważ nie",
        "czajnik wodę dzieci",
    ),
    "ru": (
        ["Чайник из стали", "Стиральная машина для дома"],
        ["Чайник, который кипятит воду и сам выключается.", "Это идеальный инструмент для сада, потому что он лёгкий."],
        "который сам это для потому что",
        "чайник машина инструмент",
    ),
    "tr": (
        ["Çelik çaydanlık", "Bahçe için tırmık"],
        ["Suyu kaynatan ve kendi kapanan bir çaydanlık.", "Bu tırmık çocuklar için de çok uygundur."],
        "kendi bir için çok",
        "çaydanlık tırmık",
    ),
    "zh": (
        ["不锈钢电热水壶", "花园用铁锹", "初学者小提琴"],
        ["这款水壶可以在两分钟内把水烧开，而且会自动断电。", "这是一把为花园设计的铁锹，因为它是木头做的。"],
        "这是 可以 而且 因为 的 一把",
        "不锈钢 电热水壶 花园 铁锹 小提琴",
    ),
    "ja": (
        ["ステンレス製の電気ケトル", "庭園のためのスコップ"],
        ["このケトルは二分でお湯を沸かし、自動的に止まります。", "花園のために設計された木製の熊手です。"],
        "この です のために ます は",
        "ケトル スコップ 花園 熊手",
    ),
}  # fmt: skip


def terms_of(titles: list[str], said: list[str], n: int = 40) -> Terms:
    table = {
        Columns.ITEM: [f"i{k}" for k in range(n)],
        Columns.TITLE: [titles[k % len(titles)] for k in range(n)],
        "description": [f"{said[k % len(said)]}" for k in range(n)],
    }
    return read_terms(Catalogue(pl.DataFrame(table)))


@pytest.mark.parametrize("language", SHOPS)
def test_function_words_are_no_terms_and_what_is_sold_is(language: str) -> None:
    titles, said, function, content = SHOPS[language]
    terms = terms_of(titles, said)
    assert language in terms.languages
    assert not {*function.split()} & {*terms.names}
    assert {*content.split()} <= {*terms.names}


def test_an_english_catalogue_is_read_by_the_english_list_alone() -> None:
    titles = ["The Die Hard hat", "La Vie en Rose", "Das Boot", "L'Avventura", "The Fast and the Furious", "Star Wars"]
    titles += ["Back to the Future", "Dances with Wolves", "The Man Who Knew Too Much", "Some Like It Hot"]
    said = ["A hat for the man who was also in the war, and a fast one.", "It is about a boat and the men who sail it."]
    terms = terms_of(titles, said)
    assert terms.languages == ()
    expected = {word for text in (*titles, *said) for word in words(text)}
    assert {*terms.names} == expected and {"hat", "die", "das", "l'avventura"} <= expected


def test_english_texts_among_german_ones_keep_their_words() -> None:
    titles, said, _, _ = SHOPS["de"]
    terms = terms_of([*titles, "Warm winter hat for men"], [*said, "A hat that keeps you warm in the cold"])
    assert terms.languages == ("de",)
    assert "hat" in terms.names and "für" not in terms.names and "the" not in terms.names


def test_german_without_umlauts() -> None:
    wording = wording_of(["Ein Werkzeug fuer den Garten, das waehrend der Arbeit haelt und ueber Jahre nuetzt."] * 30)
    assert wording.words("Topf fuer die Kueche und waehrend der Arbeit") == ["topf", "kueche", "arbeit"]


def test_decomposed_letters_are_the_same_words() -> None:
    wording = Wording(("de",), function_words("de"))
    assert wording.words("fu\u0308r die Ku\u0308che") == ["küche"]


def test_lists_name_what_is_sold() -> None:
    assert {"uhr", "tag", "teil"}.isdisjoint(function_words("de")) and "für" in function_words("de")
    assert {"машина", "дом", "книга"}.isdisjoint(function_words("ru"))
    assert function_words("en") == function_words("xx") == frozenset()


def test_a_word_of_most_texts_says_nothing_of_any() -> None:
    titles = [f"Teashop number{k} {'green' if k % 3 else 'black'}" for k in range(40)]
    ids = [f"i{k}" for k in range(40)]
    terms = read_terms(Catalogue(pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: titles, "tags": ["shared"] * 40})))
    named = [name for name, everywhere in zip(terms.names, terms.everywhere, strict=True) if everywhere]
    assert named == ["green", "teashop"], "an attribute value is what the shop says it is"
    few = read_terms(Catalogue(pl.DataFrame({Columns.ITEM: ids[:5], Columns.TITLE: titles[:5]})))
    assert not few.everywhere.any()


def test_a_chinese_description_is_prose() -> None:
    terms = terms_of(SHOPS["zh"][0], SHOPS["zh"][1])
    assert all(len(name) <= 5 for name in terms.names)


def test_the_detector_needs_no_network() -> None:
    assert detected("das ist ein schöner garten und er gefällt uns")[0][0] == "de"
