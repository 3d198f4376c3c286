"""Tables line up: words to the left, figures to the right, and nothing trails."""

from napari_unetseg.io.text_columns import in_columns


def test_words_stand_to_the_left_and_figures_to_the_right():
    rows = [("name", "size", ""), ("a", "1", "*"), ("longest", "12345", "")]
    assert in_columns(rows, left=1) == ["name      size", "a            1  *", "longest  12345"]
    assert in_columns(rows, left=0)[1] == "      a      1  *"
