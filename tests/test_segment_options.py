"""A parameter is defined once; verbs, functions, command line, recipe and schema take theirs from there."""

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from napari_unetseg import Segmentation, SegmentationService
from napari_unetseg.errors import ParameterError
from napari_unetseg.postprocessing.parameters import DecodeChanges, DecodeKeywords, DecodeParameters
from napari_unetseg.segment_options import ImageOptions, SegmentKeywords, SegmentOptions, flags
from napari_unetseg.service import Provenance, RunRecipe
from napari_unetseg.service.provenance import recorded_as
from napari_unetseg.service.run_recipe import RecipeModel, RecipeRun, RecipeSource
from napari_unetseg.service.segmentation import check_options
from napari_unetseg.zoo.card import Head, ModelCard, WeightsFile

VERBS = (SegmentationService.segment, SegmentationService.segment_batch, SegmentationService.iter_batch)

# Runs with two parameters more in the text of its definition, and nothing else changed.
NEW_PARAMETER = """
import importlib.util, inspect, sys
import napari_unetseg.postprocessing as room

name = "napari_unetseg.postprocessing.parameters"
spec = importlib.util.find_spec(name)
source = spec.loader.get_source(name)
before = "    min_size: int = Field("
assert source.count(before) == 1
sharpen = '    sharpen: float = Field(0.5, ge=0, le=3, description="How much is sharpened.")\\n'
invert = '    invert: bool = Field(False, description="Whether it is inverted.")\\n'
source = source.replace(before, sharpen + invert + before)
module = importlib.util.module_from_spec(spec)
sys.modules[name] = room.parameters = module
exec(compile(source, name, "exec"), module.__dict__)

from typer.testing import CliRunner
from napari_unetseg import Segmentation, SegmentationService
from napari_unetseg.cli.main import app
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.recipe_text import as_command, as_python
from napari_unetseg.service.run_recipe import RecipeModel, RecipeRun, RecipeSource, RunRecipe

for verb in (SegmentationService.segment, SegmentationService.iter_batch, Segmentation.relabel):
    assert inspect.signature(verb).parameters["sharpen"].annotation == float | None
    assert "sharpen\\n    How much is sharpened. 0 to 3." in inspect.getdoc(verb)

told = CliRunner().invoke(app, ["segment", "--help"], env={"COLUMNS": "120"}).output
assert "How much is sharpened. Default: the model's." in " ".join(told.split())
assert "[0<=x<=3]" in told
assert "--invert / --no-invert" in told

options = SegmentOptions.of(sharpen=2, invert=True)
assert options.model_dump(exclude_none=True) == {"sharpen": 2.0, "invert": True, "augment": False, "link": False}
parameters = module.DecodeParameters().override({"sharpen": 2})
recipe = RunRecipe(
    napari_unetseg="0",
    model=RecipeModel(name="m", source="m", sha256="0" * 64, card_sha256="0" * 64),
    run=RecipeRun(device="cpu", precision="float32", backend="torch", largest_window=None, batch_size=1),
    parameters=parameters,
    source=RecipeSource(image="i"),
)
assert RunRecipe.model_validate(recipe.model_dump(mode="json")).segment_options()["sharpen"] == 2
assert " --sharpen 2.0 --no-invert " in as_command(recipe)
assert "sharpen=2.0," in as_python(recipe)
"""


def make_card() -> ModelCard:
    return ModelCard(
        name="m",
        display_name="M",
        description="Bright pixels.",
        architecture={"name": "unet", "arguments": {}},
        object_size=12,
        outputs=(Head(name="foreground"),),
        decoder="threshold",
        weights=WeightsFile(sha256="0" * 64),
        licence="CC0-1.0",
    )


def make_recipe() -> dict[str, Any]:
    recipe = RunRecipe(
        napari_unetseg="0",
        model=RecipeModel(name="m", source="m", sha256="0" * 64, card_sha256="0" * 64),
        run=RecipeRun(device="cpu", precision="float32", backend="torch", largest_window=None, batch_size=1),
        parameters=DecodeParameters(),
        source=RecipeSource(image="i"),
    )
    return recipe.model_dump(mode="json")


@pytest.mark.parametrize(("keywords", "model"), [(DecodeKeywords, DecodeChanges), (SegmentKeywords, SegmentOptions)])
def test_what_type_checkers_know_is_what_there_is(keywords: type, model: type[BaseModel]) -> None:
    defined = {name: field.annotation for name, field in model.model_fields.items()}
    assert get_type_hints(keywords) == defined


def test_every_field_is_described() -> None:
    for model in (DecodeParameters, SegmentOptions):
        assert all(str(field.description).endswith(".") for field in model.model_fields.values())
    assert all(f"\n    {name}\n" in str(DecodeParameters.__doc__) for name in DecodeParameters.model_fields)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_shows_every_option_with_its_default_and_description(verb: Any) -> None:
    shown = inspect.signature(verb).parameters
    for name, field in SegmentOptions.model_fields.items():
        assert (shown[name].default, shown[name].annotation) == (field.default, field.annotation)
        assert f"\n{name}\n    {str(field.description)[:30]}" in str(inspect.getdoc(verb))
    assert [name for name in shown if name in SegmentOptions.model_fields] == list(SegmentOptions.model_fields)
    assert not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in shown.values())
    assert "options\n" not in str(inspect.getdoc(verb)).split("Parameters\n", 1)[1]
    rest = [name for name in shown if name not in SegmentOptions.model_fields]
    assert rest[2:] == ["model", "progress", "cancel", "on_stage", *(["also"] if verb in VERBS[1:] else [])]
    assert list(shown)[-len(rest[3:]) :] == rest[3:]


def test_relabel_shows_the_decoder_parameters_alone() -> None:
    assert list(inspect.signature(Segmentation.relabel).parameters) == [
        "self",
        *DecodeParameters.model_fields,
        "cancel",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"diameter": "large"}, "diameter = 'large'"),
        ({"channel": -1}, "channel = -1"),
        ({"channel": "red"}, "channel = 'red'"),
        ({"augment": "perhaps"}, "augment = 'perhaps'"),
        ({"threshold": 1.5}, "threshold = 1.5"),
        ({"treshold": 0.5}, r"treshold: there is no such parameter; there are threshold, min_size"),
    ],
)
def test_a_wrong_option_is_an_error_of_ours_that_names_it(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SegmentOptions.of(**wrong)


NUMBERS = ("threshold", "min_size", "split", "smoothing", "min_confidence", "diameter", "channel")
CHOICES = ("fill_holes", "augment", "link")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "wrong",
    [
        True,
        False,
        np.True_,
        np.array(True),
        "x",
        "1",
        b"1",
        "nan",
        np.nan,
        np.inf,
        -np.inf,
        [1],
        (1,),
        {},
        1j,
        np.array([1]),
        object(),
    ],
)
def test_what_is_no_number_is_an_error_that_names_the_parameter(name: str, wrong: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{name} = "):
        check_options(SegmentOptions.of(**{name: wrong}), make_card())


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("wrong", [0, 1, 1.0, "yes", "true", b"1", np.nan, np.int64(1), [], [True], object()])
def test_what_is_no_choice_is_an_error_that_names_the_parameter(name: str, wrong: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{name} = "):
        SegmentOptions.of(**{name: wrong})


@pytest.mark.parametrize("name", [*NUMBERS, *CHOICES])
def test_numpys_scalars_are_what_they_hold(name: str) -> None:
    plain = True if name in CHOICES else 1
    for kind in (np.bool_,) if name in CHOICES else (np.uint8, np.int64, np.float32, np.float64):
        for given in (kind(plain), np.array(plain, kind)):
            assert SegmentOptions.of(**{name: given}) == SegmentOptions.of(**{name: plain})


def test_the_same_is_held_where_parameters_are_changed_and_where_a_recipe_is_read() -> None:
    recipe = make_recipe()
    for name, wrong in (("threshold", True), ("min_size", "20"), ("fill_holes", 1)):
        with pytest.raises(ParameterError, match=f"^{name} = "):
            DecodeParameters().override({name: wrong})
        with pytest.raises(ValidationError):
            RunRecipe.model_validate(recipe | {"parameters": recipe["parameters"] | {name: wrong}})
    for changed in ({"diameter": True}, {"augment": 1}, {"run": recipe["run"] | {"batch_size": True}}):
        with pytest.raises(ValidationError):
            RunRecipe.model_validate(recipe | changed)
    assert RunRecipe.model_validate(recipe).model_dump(mode="json") == recipe


@pytest.mark.parametrize(
    "long", ["x" * 100_000, 10**400, 10**5000, list(range(10_000))], ids=["text", "digits", "more digits", "list"]
)
def test_a_long_value_is_not_repeated_at_length(long: Any) -> None:
    with pytest.raises(ParameterError, match=r"^threshold = ") as raised:
        SegmentOptions.of(threshold=long)
    assert len(str(raised.value)) < 200


def test_a_schema_tells_types_limits_and_descriptions() -> None:
    properties = SegmentOptions.model_json_schema()["properties"]
    assert list(properties) == list(SegmentOptions.model_fields)
    assert properties["threshold"]["anyOf"][0] == {"maximum": 1, "minimum": 0, "type": "number"}
    assert properties["diameter"]["exclusiveMinimum"] == 0
    assert all(entry["description"] for entry in properties.values())


def test_recipe_and_record_have_every_option_of_an_image() -> None:
    assert set(ImageOptions.model_fields) < set(RunRecipe.model_fields)
    assert {recorded_as(name) for name in ImageOptions.model_fields} < {field.name for field in fields(Provenance)}


def test_the_command_line_has_a_word_for_every_option() -> None:
    assert flags("min_size") == ("--min-size", "")
    assert flags("fill_holes") == ("--fill-holes", "--keep-holes")
    assert (flags("augment"), flags("link")) == (("--tta", ""), ("--link", ""))


def test_a_new_parameter_reaches_signatures_command_line_and_recipe() -> None:
    done = subprocess.run([sys.executable, "-c", NEW_PARAMETER], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
