"""Which language the window speaks, that it speaks nothing else, and that its words fit into the column."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari._qt.qt_resources import get_stylesheet
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QAbstractButton, QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_unetseg import language
from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.plugin import languages
from napari_unetseg.plugin.panel.drawing import Lines
from napari_unetseg.plugin.parts.words import describe_error
from napari_unetseg.plugin.widget import WIDTH, SegmentationWidget
from napari_unetseg.zoo.registry import list_models

HEIGHT = 1400


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Say which languages are wanted when settings, napari and system ask for these."""

    def ask(setting: str, napari: str | None, system: list[str]) -> list[str]:
        monkeypatch.setenv("UNET_WINDOW_LANGUAGE", setting)
        application = SimpleNamespace() if napari is None else SimpleNamespace(language=napari)
        monkeypatch.setattr(languages, "get_settings", lambda: SimpleNamespace(application=application))
        locale = SimpleNamespace(uiLanguages=lambda: system)
        monkeypatch.setattr(languages, "QLocale", SimpleNamespace(system=lambda: locale))
        return languages.wanted_languages()

    return ask


def test_the_setting_goes_before_all(wanted: Callable[..., list[str]]) -> None:
    assert wanted("en", "de", ["cs-CZ"]) == ["en"]


def test_a_language_chosen_in_napari_goes_before_the_systems(wanted: Callable[..., list[str]]) -> None:
    assert wanted("auto", "fr", ["cs-CZ"]) == ["fr"]


@pytest.mark.parametrize("napari", ["en", None])
def test_napari_left_as_it_was_leaves_it_to_the_system(wanted: Callable[..., list[str]], napari: str | None) -> None:
    assert wanted("auto", napari, ["cs-Latn-CZ", "cs"]) == ["cs-Latn-CZ", "cs"]


def test_a_wrong_setting_is_left_to_the_service_to_tell(wanted: Callable[..., list[str]]) -> None:
    assert wanted("klingon", None, ["es"]) == ["es"]


def test_errors_for_napari_are_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_catalogue", Marking())
    with pytest.raises(ModelError, match="«no a»"), languages.errors_in_users_language():
        raise ModelError(Sentence("no {thing}", thing="a"))


def test_the_window_says_errors_in_its_language_and_details_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_catalogue", Marking())
    failure = describe_error(ModelError(Sentence("no {thing}", thing="a")))
    assert failure.sentence == "«no a»"
    assert "ModelError: no a" in failure.details


class Marking:
    """A language in which every text stands between guillemets."""

    def gettext(self, text: str) -> str:
        return f"«{text}»"

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        return f"«{singular if number == 1 else plural}»"


def no_service(model: str, device: str) -> Any:
    raise ModelError(Sentence("no {thing}", thing="service"))


@pytest.fixture
def open_in(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SegmentationWidget]]:
    """Open the widget with all its folds, styled as in napari but without its window, which takes long to make."""
    monkeypatch.setattr("napari_unetseg.plugin.widget.activate_language", lambda: None)
    opened: list[SegmentationWidget] = []

    def open_(theme: str = "dark") -> SegmentationWidget:
        viewer = ViewerModel()
        viewer.theme = theme
        widget = SegmentationWidget(viewer, services=no_service, models=list_models)
        opened.append(widget)
        widget.setStyleSheet(get_stylesheet(theme))
        viewer.add_layer(Image(np.zeros((3, 64, 64), np.uint16), name="cells"))
        widget.reset_choices()
        widget.health.expand()
        widget.more.expand()
        widget.resize(WIDTH, HEIGHT)
        widget.show()
        return widget

    yield open_
    # Not by qtbot, which would delete the widget before its workers are done.
    for widget in opened:
        qtbot.waitUntil(
            lambda w=widget: not (w.health.checking or w.object_size.estimator.busy or w.live.busy),
            timeout=60_000,
        )
        widget.close()
        widget.deleteLater()


def texts(widget: QWidget) -> Iterator[str]:
    """Every text that a widget and its children show or say in tooltips."""
    for child in [widget, *widget.findChildren(QWidget)]:
        yield child.toolTip()
        if isinstance(child, Lines):
            yield child.full
        elif isinstance(child, QAbstractButton | QLabel):
            yield child.text()
        elif isinstance(child, QComboBox):
            yield from (child.itemText(row) for row in range(child.count()))
        elif isinstance(child, QLineEdit):
            yield child.placeholderText()


def untranslated(widget: QWidget, names: set[str]) -> set[str]:
    """Words outside of guillemets, but for names, numbers, units and signs."""
    found = set()
    for text in texts(widget):
        left, depth = "", 0
        for character in text:
            depth += (character == "«") - (character == "»")
            left += character if depth == 0 and character != "»" else ""
        words = {word.strip(".,:;()·%~▸▾&-") for word in left.split()}
        if any(len(word) > 2 and word.isalpha() and word not in names for word in words):
            found.add(text)
    return found


NAMES = {"cells", "napari", "GPU", "CPU", "SHA", "uint16", "pixel", "Ctrl", "Alt", "Shift", "subpixel_unet"}


def test_every_word_of_the_window_is_looked_up(
    open_in: Callable[..., SegmentationWidget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "_catalogue", Marking())
    assert untranslated(open_in(), NAMES) == set()


@pytest.mark.parametrize("name", language.LANGUAGES)
def test_no_word_of_the_column_is_cut_off(open_in: Callable[..., SegmentationWidget], name: str) -> None:
    language.use(name)
    widget = open_in()
    assert widget.column.content.minimumSizeHint().width() <= WIDTH
    plain = [child for child in widget.findChildren(QWidget) if type(child) in (QPushButton, QCheckBox, QLabel)]
    shown = [child for child in plain if child.isVisible() and child.text()]
    assert len(shown) > 30
    wrapped = {child for child in shown if isinstance(child, QLabel) and child.wordWrap()}
    cut = {child.text() for child in shown if child not in wrapped and child.sizeHint().width() > child.width()}
    assert cut == set()


def test_there_is_a_font_for_chinese(qapp: Any) -> None:
    families = QFontDatabase.families(QFontDatabase.WritingSystem.SimplifiedChinese)
    assert families, "install a font for Chinese, such as Debian's fonts-droid-fallback (.ci/system-packages)"
