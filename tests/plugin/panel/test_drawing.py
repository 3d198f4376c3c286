from itertools import pairwise
from typing import Any

import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QColor, QFont

from napari_unetseg.plugin.panel.drawing import Bar, Lines, Sparkline


def test_lines_keep_their_height_and_say_all_in_the_tooltip(qtbot: Any) -> None:
    lines = Lines(2, "What it is about.")
    qtbot.addWidget(lines)
    lines.resize(120, lines.height())
    height = lines.height()
    lines.say("Short.")
    assert lines.text() == "Short."
    text = "A sentence that needs far more room than two lines of this width can give it."
    lines.say(text)
    assert lines.height() == height
    assert lines.full == text
    assert text in lines.toolTip()
    assert lines.toolTip().startswith("What it is about.")
    shown = lines.text().splitlines()
    assert len(shown) == 2
    assert shown[1].endswith("…")
    metrics = lines.fontMetrics()
    assert all(metrics.horizontalAdvance(line) <= lines.width() for line in shown)


def test_a_wider_line_shows_more(qtbot: Any) -> None:
    lines = Lines(1)
    qtbot.addWidget(lines)
    lines.resize(60, lines.height())
    lines.show()
    lines.say("median 120 ms, 95 % within 140 ms")
    assert lines.text().endswith("…")
    lines.resize(600, lines.height())
    assert lines.text() == lines.full


def test_lines_grow_with_the_font(qtbot: Any) -> None:
    lines = Lines(3)
    qtbot.addWidget(lines)
    before = lines.height()
    lines.setFont(QFont(lines.font().family(), 3 * lines.font().pointSize()))
    assert lines.height() > 2 * before


@pytest.mark.parametrize(
    ("values", "heights"), [((), []), ((5.0,), [1.0]), ((0.0, 2.0, 4.0), [0.0, 0.5, 1.0]), ((0.0, 0.0), [0.0, 0.0])]
)
def test_a_sparkline_stands_on_zero_and_ends_at_the_newest(
    qtbot: Any, values: tuple[float, ...], heights: list[float]
) -> None:
    sparkline = Sparkline()
    qtbot.addWidget(sparkline)
    sparkline.resize(200, sparkline.height())
    sparkline.show_values(values)
    points = sparkline.points()
    top, bottom = 3, sparkline.height() - 1.5
    assert [(bottom - point.y()) / (bottom - top) for point in points] == pytest.approx(heights)
    steps = [later.x() - earlier.x() for earlier, later in pairwise(points)]
    assert all(step > 0 for step in steps)
    if points:
        assert points[-1].x() == 196
        assert points[0].x() == (1 if len(points) > 1 else 196)


def colours(widget: Any) -> list[str]:
    """Colours along the middle of a painted widget, runs of the same one told once."""
    picture = widget.grab().toImage()
    row = [picture.pixelColor(x, picture.height() // 2).name() for x in range(2, picture.width() - 2)]
    return [colour for before, colour in zip([None, *row], row, strict=False) if colour != before]


@pytest.mark.parametrize("name", ["dark", "light"])
def test_a_bar_shows_its_parts_in_the_colours_of_the_theme(qtbot: Any, name: str) -> None:
    theme = get_theme(name)
    bar = Bar()
    qtbot.addWidget(bar)
    bar.resize(101, 8)
    bar.use_theme(theme)
    own, others, track = (QColor(c.as_hex()).name() for c in (theme.icon, theme.highlight, theme.foreground))
    assert colours(bar) == [track]
    bar.show_parts((0.25, 0.5))
    assert [colour for colour in colours(bar) if colour in (own, others, track)] == [own, others, track]
    bar.show_parts((1.5,))
    assert colours(bar) == [own]


@pytest.mark.parametrize("name", ["dark", "light"])
def test_a_sparkline_is_painted_in_the_colours_of_the_theme(qtbot: Any, name: str) -> None:
    theme = get_theme(name)
    sparkline = Sparkline()
    qtbot.addWidget(sparkline)
    sparkline.resize(100, sparkline.height())
    sparkline.use_theme(theme)
    line = QColor(theme.icon.as_hex()).name()

    def painted() -> set[str]:
        picture = sparkline.grab().toImage()
        return {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}

    assert line not in painted()
    sparkline.show_values((1.0, 1.0, 1.0))
    assert line in painted()
