"""The texts of a run do what they say, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.io import read_image
from napari_unetseg.postprocessing.fixes import Fix
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import RunRecipe, Segmentation, tiled_settings, write_run_recipe
from napari_unetseg.service.recipe_text import RECIPE_PLACEHOLDER, as_command, as_python, command_options, quote_windows


@pytest.fixture
def result(bright_model: Path, tmp_path: Path, settings: Callable[..., Settings]) -> Segmentation:
    # A name that no shell takes as it is.
    path = tmp_path / "it's & $HOME" / "noise (1).tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.random.default_rng(6).integers(0, 900, (90, 70)).astype(np.uint16))
    with SegmentationService(bright_model, "cpu", "torch", settings=tiled_settings(48, 2, settings())) as service:
        return service.segment(
            read_image(path), threshold=0.45, min_size=3, split=0.8, fill_holes=False, diameter=10.5, smoothing=1
        )


def run(words: list[str] | str, folder: Path, **settings: object) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"}
    # What is set on the other machine must not matter.
    environment |= {"UNET_INFERENCE_WINDOW": "640", "UNET_INFERENCE_BATCH_SIZE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, **settings)
    assert done.returncode == 0, done.stderr


def written_labels(folder: Path) -> NDArray[np.uint16]:
    (path,) = folder.rglob("*_labels.tif")
    labels: NDArray[np.uint16] = tifffile.imread(path)
    return labels


def test_the_script_gives_the_same_labels(result: Segmentation, tmp_path: Path) -> None:
    script = as_python(RunRecipe.of(result.provenance)) + "\nimport numpy as np\nnp.save('labels.npy', result.labels)\n"
    run([sys.executable, "-c", script], tmp_path)
    assert result.count > 3
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), result.labels)


@pytest.mark.skipif(sys.platform == "win32", reason="a line for a POSIX shell")
def test_the_line_gives_the_same_labels(result: Segmentation, tmp_path: Path) -> None:
    run(as_command(RunRecipe.of(result.provenance), windows=False), tmp_path, shell=True)
    np.testing.assert_array_equal(written_labels(tmp_path), result.labels)


def test_the_recipe_gives_the_same_labels_on_the_command_line(result: Segmentation, tmp_path: Path) -> None:
    write_run_recipe(tmp_path / "run.yaml", RunRecipe.of(result.provenance))
    words = [sys.executable, "-m", "napari_unetseg", "segment", "--recipe", "run.yaml"]
    run([*words, str(result.image.path), "-o", "out"], tmp_path)
    np.testing.assert_array_equal(written_labels(tmp_path / "out"), result.labels)


def test_every_parameter_has_its_option(result: Segmentation) -> None:
    from typer.main import get_command

    from napari_unetseg.cli.main import app

    segment = get_command(app).commands["segment"]  # type: ignore[attr-defined]
    known = {word for option in segment.params for word in (*option.opts, *option.secondary_opts)}
    recipe = RunRecipe.of(result.provenance)
    for filled in (True, False):
        parameters = DecodeParameters(fill_holes=filled)
        options = command_options(recipe.model_copy(update={"parameters": parameters, "augment": True, "channel": 2}))
        assert {word for word in options if word.startswith("--")} <= known
    assert len(options) > 2 * len(DecodeParameters.model_fields)


def test_an_image_without_a_file_comes_from_its_layer(result: Segmentation) -> None:
    reported = result.provenance.as_dict() | {"path": None, "image": 'it\'s "3"', "plane": {0: 2}}
    script = as_python(RunRecipe.of(reported))
    compile(script, "script", "exec")
    assert r"""layers['it\'s "3"']""" in script
    assert "pixels[2, :, :]" in script
    assert as_command(RunRecipe.of(reported)).startswith("napari-unetseg segment IMAGE --model")


def test_a_plane_of_a_file_is_taken_from_its_stack(result: Segmentation) -> None:
    reported = result.provenance.as_dict() | {"plane": {0: 4, 1: 2}}
    assert ", 'ZTYX').plane((4, 2))\n" in as_python(RunRecipe.of(reported))
    assert " IMAGE " in as_command(RunRecipe.of(reported))
    three = as_python(RunRecipe.of(reported | {"plane": {0: 4, 1: 2, 2: 1}}))
    assert ", 'ZTCYX').take_channel(1).plane((4, 2))\n" in three


def test_a_stack_is_read_as_one(result: Segmentation) -> None:
    reported = result.provenance.as_dict() | {"axes": "TYX", "plane": {1: 2}, "link": True}
    assert ", 'TCYX').take_channel(2)\n" in as_python(RunRecipe.of(reported))
    line = as_command(RunRecipe.of(reported))
    assert " --axes TCYX " in line
    assert " --channel 2 " in line
    assert " --link " in line
    assert " IMAGE " not in line


def test_a_part_of_an_image_is_cut_out_of_it(result: Segmentation) -> None:
    reported = result.provenance.as_dict() | {"region": [[5, 60], [0, 33]]}
    script = as_python(RunRecipe.of(reported))
    compile(script, "script", "exec")
    assert "array=image.array[5:60, 0:33], origin=(5, 0))" in script
    layer = as_python(RunRecipe.of(reported | {"path": None, "axes": "ZYXC", "rgb": True, "plane": {0: 2}}))
    assert "pixels[2, :, 5:60, 0:33, :]" in layer
    assert "name=layer.name, origin=(5, 0))" in layer
    compile(layer, "layer", "exec")
    assert " IMAGE " in as_command(RunRecipe.of(reported))


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        (r"C:\data\cells.tif", r"C:\data\cells.tif"),
        (r"C:\my data\cells.tif", r'"C:\my data\cells.tif"'),
        ("a&b.tif", '"a&b.tif"'),
        ("C:\\a&b\\", r'"C:\a&b\\"'),
        ("C:\\my data\\", r'"C:\my data\\"'),
        ("it's", '"it\'s"'),
        ("", '""'),
        ("0.5", "0.5"),
    ],
)
def test_windows_shells_pass_words_on_as_they_are(word: str, quoted: str) -> None:
    assert quote_windows(["say", word]) == f"say {quoted}"


@pytest.fixture
def fixed(result: Segmentation) -> Segmentation:
    sizes = np.bincount(result.labels.ravel())
    points = [tuple(map(float, np.argwhere(result.labels == label)[0])) for label in np.argsort(sizes[1:])[-2:] + 1]
    others = result.parameters.override({"threshold": 0.4})
    return result.fixed(
        [
            Fix(kind="remove", points=points[:1], parameters=result.parameters),
            Fix(kind="grow", points=points[1:], parameters=others),
        ]
    )


def test_the_script_fixes_what_was_fixed(fixed: Segmentation, result: Segmentation, tmp_path: Path) -> None:
    script = as_python(RunRecipe.of(fixed.provenance)) + "\nimport numpy as np\nnp.save('labels.npy', result.labels)\n"
    run([sys.executable, "-c", script], tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), fixed.labels)
    assert not np.array_equal(fixed.labels, result.labels)


@pytest.mark.skipif(sys.platform == "win32", reason="a line for a POSIX shell")
def test_the_line_names_a_recipe_file_where_something_was_fixed(fixed: Segmentation, tmp_path: Path) -> None:
    recipe = RunRecipe.of(fixed.provenance)
    write_run_recipe(tmp_path / RECIPE_PLACEHOLDER, recipe)
    run(as_command(recipe, windows=False), tmp_path, shell=True)
    np.testing.assert_array_equal(written_labels(tmp_path), fixed.labels)
