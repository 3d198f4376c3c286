"""Units under all their names, and numbers that are no size."""

import pytest

from napari_unetseg.io.physical_size import known_size, known_step, length, length_symbol, time_symbol, unit_name


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("micrometer", ["µm", "μm", "um", "micron", "Microns", "\\u00B5m", "\\u03bcm", " um ", "Micrometre"]),
        ("nanometer", ["nm", "nanometre"]),
        ("picometer", ["pm"]),
        ("angstrom", ["Å", "Å", "å", "Angstrom"]),
        ("millimeter", ["mm"]),
        ("inch", ["in", "inch", "inches"]),
        ("second", ["s", "sec", "Seconds"]),
        ("minute", ["min"]),
    ],
)
def test_a_unit_is_known_by_every_name(name: str, texts: list[str]) -> None:
    assert [unit_name(text) for text in texts] == [name] * len(texts)


@pytest.mark.parametrize("text", ["pixel", "", None, "Mm", "Pm", "parsec", "reference frame", "µ m"])
def test_other_units_are_not_known(text: str | None) -> None:
    assert unit_name(text) is None


def test_symbols_are_those_of_ome() -> None:
    units = ["micron", "angstrom", "picometer", "inch", "second", "pixel"]
    assert [length_symbol(unit) for unit in units] == ["\u00b5m", "Å", "pm", "in", None, None]
    assert [time_symbol(unit) for unit in ("millisecond", "minute", "micrometer")] == ["ms", "min", None]


@pytest.mark.parametrize(("value", "size"), [(-0.5, 0.5), ("2.5", 2.5), (0, None), ("nan", None), ("inf", None)])
def test_a_size_is_a_magnitude_or_none(value: float | str, size: float | None) -> None:
    assert length(value) == size
    assert length("wide") is length(None) is length([1]) is None


def test_axes_in_different_units_are_put_into_one() -> None:
    scale, unit = known_size([0.5, 250], ["µm", "nm"])
    assert (scale, unit) == (pytest.approx((0.5, 0.25)), "micrometer")
    assert known_size([1, 1], ["µm", "furlong"]) == (None, None)
    assert known_size([1, 0], ["µm", "µm"]) == (None, None)


def test_a_time_is_no_length() -> None:
    assert known_step(2, "s") is None
    assert known_step(2, "s", time=True) == (2, "second")
