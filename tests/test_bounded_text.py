"""What users hand over is read within bounds; what is beyond them is refused before it is built."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from napari_unetseg.bounded_text import TooMuch, compose_yaml, json_lines, read_yaml, short_text
from napari_unetseg.config import load_settings
from napari_unetseg.config.template import template
from napari_unetseg.errors import ConfigError, ModelError, UnetsegError
from napari_unetseg.service.recipe_file import read_run_recipe
from napari_unetseg.training.training_recipe import read_training_recipe
from napari_unetseg.zoo.card import read_card

CARDS = sorted((Path(__file__).parents[1] / "src" / "napari_unetseg" / "models").glob("*/model.yaml"))


class Point(BaseModel):
    x: int


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("text", ["", "# nothing", "a: 1\nb: [1, 2, {c: x}]", "- &x [1]\n- *x\n", "&a {b: 1}", "5"])
def test_within_the_bounds_it_is_what_pyyaml_reads(text: str) -> None:
    assert read_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.parent.name)
def test_the_cards_of_the_package_lie_well_within(card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    assert read_yaml(text, largest=50_000, deepest=10, most=2_000) == yaml.safe_load(text)


def test_a_configuration_with_every_key_lies_well_within() -> None:
    text = template()
    assert read_yaml(text, largest=50_000, deepest=10, most=2_000) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "bounds", "fault"),
    [
        ("a: 12345", {"largest": 7}, "longer than 7 characters"),
        (nested(4), {"deepest": 3}, "more than 3 deep"),
        ("a: {b: {c: {d: 1}}}", {"deepest": 3}, "more than 3 deep"),
        ("[1, 2, 3, 4]", {"most": 4}, "more than 4 values"),
        # Each line doubles what the one before stands for: 2 + 4 + 8 and the lists around them.
        ("- &a [1, 1]\n- &b [*a, *a]\n- [*b, *b]\n", {"most": 14}, "more than 14 values"),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, z: 3}\n", {"most": 8}, "more than 8 values"),
        # Each line is a level deeper than the one before, without a single bracket within a bracket.
        ("- &a [1]\n- &b [*a]\n- &c [*b]\n- [*c]\n", {"deepest": 5}, "more than 5 deep"),
        ("&a [*a]", {}, "holds itself"),
        ("a: &a {b: *a}", {}, "holds itself"),
    ],
)
def test_what_is_beyond_a_bound_is_refused(text: str, bounds: dict[str, int], fault: str) -> None:
    with pytest.raises(TooMuch, match=fault):
        read_yaml(text, **bounds)


def test_the_same_text_is_read_where_the_bounds_allow_it() -> None:
    text = "- &a [1, 1]\n- &b [*a, *a]\n- [*b, *b]\n"
    assert read_yaml(text, most=26) == [[1, 1], [[1, 1]] * 2, [[[1, 1]] * 2] * 2]
    with pytest.raises(TooMuch):
        read_yaml(text, most=25)


def test_what_is_too_deep_is_refused_at_its_line_without_reading_on() -> None:
    with pytest.raises(TooMuch) as raised:
        compose_yaml("a: 1\nb: " + "[" * 100_000)
    assert raised.value.problem_mark.line == 1


@pytest.mark.parametrize("value", ["2026-02-31", "!!int ''", "!!bool x", "!!timestamp x", "9" * 5000, "!!float x"])
def test_values_that_there_are_not_are_faults_of_the_text(value: str) -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml(f"a: {value}")


def test_no_more_of_a_long_file_is_read_than_tells_that_it_is_long(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\ufeff" + "x" * 100, encoding="utf-8")
    assert short_text(path, largest=10) == "x" * 11
    assert short_text(path) == "x" * 100


@pytest.mark.parametrize("text", [nested(3000), "&a [*a]", "a: 2026-02-31", "x" * 300_000], ids=str.__len__)
def test_every_file_says_so_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(text, encoding="utf-8")
    readers = {
        load_settings: ConfigError,
        read_run_recipe: UnetsegError,
        read_training_recipe: UnetsegError,
        read_card: ModelError,
    }
    for read, kind in readers.items():
        with pytest.raises(kind, match=r"model\.yaml.*not valid YAML") as raised:
            read(path)
        assert len(str(raised.value)) < 1000


def test_a_variable_is_read_within_the_same_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNET_PREPROCESSING_IMAGE_SIZE", nested(3000))
    with pytest.raises(ConfigError, match="UNET_PREPROCESSING_IMAGE_SIZE"):
        load_settings()


def test_json_lines_that_are_none_or_too_long_are_left_out() -> None:
    deep = b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    content = b'{"x": 1}\n{"x": "y"}\n\n{"x": 2}\r\n' + deep + b"\n\xff\n" + b'{"x": 3}' + b" " * 50 + b'\n{"x": 4'
    assert [point.x for point in json_lines(content, Point, longest=40)] == [1, 2]
    assert [point.x for point in json_lines(content, Point)] == [1, 2, 3]
