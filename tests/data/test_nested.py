"""Records, lists and maps as the texts they hold."""

from __future__ import annotations

from isrf.data.readers.nested import texts_of


def test_a_name_says_more_than_a_number_beside_it() -> None:
    assert texts_of([{"value": 28, "label": "Action"}, {"value": "12", "label": "War"}]) == ["Action", "War"]
    assert texts_of([{"name": "Action", "value": "0.93"}, {"name": "Colour", "value": "red"}]) == ["Action", "red"]
