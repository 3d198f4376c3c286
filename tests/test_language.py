import pickle
from collections.abc import Iterator

import pytest

from napari_unetseg import language
from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence, grouped, nearest, tr, tr_count, translated, use


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    use("en")


class Shouting:
    """A catalogue that shouts."""

    def gettext(self, text: str) -> str:
        return f"{text}!"

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return f"{singular if number == 1 else plural}!"


@pytest.fixture
def shouting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_catalogue", Shouting())


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["cs"], "cs"),
        (["de_AT.UTF-8"], "de"),
        (["zh-Hans-CN", "en"], "zh_CN"),
        (["es_ES@euro"], "es"),
        (["sk-SK", "cs-CZ", "en"], "cs"),
        (["it", "en", "de"], "en"),
        (["C"], "en"),
        ([], "en"),
    ],
)
def test_the_first_known_language_is_used(wanted: list[str], found: str) -> None:
    assert nearest(wanted) == found


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_every_language_can_be_used(name: str) -> None:
    assert use(name) == name


def test_texts_stay_english_until_a_language_is_used() -> None:
    assert tr("Cancel") == "Cancel"
    assert [tr_count("{n} object", "{n} objects", n) for n in (1, 2)] == ["{n} object", "{n} objects"]


def test_the_empty_text_stays_empty() -> None:
    use("de")
    assert tr("") == ""


@pytest.mark.parametrize(("name", "number"), [("en", "1,312"), ("zh_CN", "1,312"), ("de", "1\u00a0312")])
def test_thousands_are_never_set_apart_by_what_reads_as_a_decimal_comma(name: str, number: str) -> None:
    use(name)
    assert grouped(1312) == number


def test_a_sentence_is_plain_english_to_everything_but_the_window(shouting: None) -> None:
    sentence = Sentence("{file}: {size:.1f} MB are too much", file="a.tif", size=2)
    assert sentence == "a.tif: 2.0 MB are too much"
    assert translated(sentence) == "a.tif: 2.0 MB are too much!"


def test_a_sentence_within_another_is_translated_too(shouting: None) -> None:
    inner = Sentence("no {thing}", thing="weights")
    assert translated(Sentence("It failed: {why}", why=inner)) == "It failed: no weights!!"
    assert translated(Sentence("It failed: {why}", why=ModelError(inner))) == "It failed: no weights!!"


def test_an_error_is_translated_by_its_sentence(shouting: None) -> None:
    error = ModelError(Sentence("no {thing}", thing="weights"))
    assert str(error) == "no weights"
    assert translated(error) == "no weights!"


def test_other_texts_stay_as_they_are(shouting: None) -> None:
    assert translated("{as} it is") == "{as} it is"
    assert translated(ModelError("{as} it is")) == "{as} it is"
    assert translated(ModelError()) == ""


def test_braces_without_places_are_kept(shouting: None) -> None:
    assert translated(Sentence("a {brace}")) == "a {brace}!"


def test_a_sentence_travels_to_other_processes_as_a_string() -> None:
    sentence = Sentence("no {thing}", thing="weights")
    assert type(pickle.loads(pickle.dumps(sentence))) is str
    assert pickle.loads(pickle.dumps(sentence)) == "no weights"
