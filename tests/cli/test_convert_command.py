"""`napari-unetseg convert` turns a checkpoint into a model and says what it did."""

import pytest
import typer
import yaml
from tests.zoo.bioimageio.conftest import zoo_package

from napari_unetseg.cli.convert_command import parse_size
from napari_unetseg.zoo import conversion
from napari_unetseg.zoo.registry import read_package


@pytest.fixture
def source(tmp_path, published_checkpoint):
    published_checkpoint(tmp_path / "best.pth")
    return tmp_path / "best.pth"


def test_what_was_recognised_dropped_and_written_is_told(call, source, tmp_path):
    run = call("convert", source, "-o", tmp_path / "mine", "--check")
    assert run.exit_code == 0, run.output
    reported = run.stdout
    assert "unet (in_channels 3, out_channels 1, features [4, 8, 16], norm instance)" in reported
    assert "optimizer_state_dict" in reported
    assert "args" in reported
    assert "downs.1 (6 weights that no output depends on)" in reported
    assert "MB, now" in reported
    assert "equal outputs on a random image" in reported


def test_options_end_up_on_the_card(call, source, tmp_path):
    run = call(
        *("convert", source, "-o", tmp_path / "mine", "--name", "spheroids", "--display-name", "My spheroids"),
        *("--description", "Spheroids.", "--licence", "CC0-1.0", "--normalisation", "imagenet"),
        *("--image-size", "1024,512", "--dtype", "float16", "--backend", "onnxruntime", "--check"),
    )
    assert run.exit_code == 0, run.output
    assert "probabilities differ by at most" in run.stdout
    card = yaml.safe_load((tmp_path / "mine" / "model.yaml").read_text(encoding="utf-8"))
    assert (card["name"], card["display_name"], card["description"]) == ("spheroids", "My spheroids", "Spheroids.")
    assert (card["licence"], card["image_size"], card["normalisation"]["kind"]) == ("CC0-1.0", [1024, 512], "mean_std")
    assert card["backend"] == "onnxruntime"


@pytest.mark.parametrize(("word", "kind"), [("percentile", "percentile"), ("min-max", "min_max")])
def test_other_normalisations(call, source, tmp_path, word, kind):
    call("convert", source, "-o", tmp_path / "mine", "--normalisation", word, "--image-size", "none")
    card = yaml.safe_load((tmp_path / "mine" / "model.yaml").read_text(encoding="utf-8"))
    assert card["normalisation"]["kind"] == kind
    assert not {"image_size", "backend"} & set(card)


def test_sizes():
    assert parse_size("1024,512") == (1024, 512)
    assert parse_size(" None ") is None
    for words in ("1024", "a,b", "1,2,3"):
        with pytest.raises(typer.BadParameter):
            parse_size(words)


def test_errors_are_one_line(call, tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"no checkpoint")
    run = call("convert", tmp_path / "bad.pth", "-o", tmp_path / "mine")
    assert run.exit_code == 1
    assert run.stderr.startswith("Error: ")
    assert "bad.pth" in run.stderr
    assert not (tmp_path / "mine").exists()


def test_a_check_that_fails_is_an_error(call, source, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "largest_difference", lambda _: 0.25)
    run = call("convert", source, "-o", tmp_path / "mine", "--check")
    assert run.exit_code == 1
    assert "differ from those of the checkpoint by up to 0.25" in run.stderr


def test_a_package_of_the_zoo_becomes_a_model(call, tmp_path):
    folder = zoo_package(tmp_path / "given", ["nucleus", "boundary"])
    result = call("convert", folder, "-o", tmp_path / "mine")
    assert result.exit_code == 0, result.output
    assert "Nuclei of somebody (BioImage Model Zoo, format 0.5.4)" in result.output
    assert "made by   Ada Maker; licence MIT" in result.output
    assert "outputs   nucleus = foreground, boundary = boundary" in result.output
    assert "check     On the package's own test image probabilities differ by" in result.output
    assert read_package(tmp_path / "mine", "path").card.display_name == "Nuclei of somebody"


def test_what_a_package_does_not_say_is_asked_for(call, tmp_path):
    folder = zoo_package(tmp_path / "given", ["a", "b"])
    words = ["convert", folder / "rdf.yaml", "-o", tmp_path / "mine"]
    result = call(*words)
    assert result.exit_code == 1
    assert "--outputs foreground,boundary" in result.output
    assert call(*words, "--outputs", "boundary,foreground").exit_code == 0
    assert read_package(tmp_path / "mine", "path").card.heads == ("boundary", "foreground")


def test_a_package_keeps_the_type_of_its_weights(call, tmp_path):
    folder = zoo_package(tmp_path / "given", ["nucleus"])
    run = call("convert", folder, "-o", tmp_path / "mine", "--dtype", "float16")
    assert run.exit_code == 1
    assert "--dtype is for checkpoints" in run.output
    assert not (tmp_path / "mine").exists()


def test_what_a_copy_of_a_model_does_not_take_is_refused(call, bright_model, tmp_path):
    run = call("convert", bright_model, "-o", tmp_path / "copy", "--licence", "MIT", "--outputs", "foreground")
    assert run.exit_code != 0
    assert "Leave out --licence, --outputs" in " ".join(run.output.split())
    assert not (tmp_path / "copy").exists()


def test_a_refusal_leaves_the_empty_folder_of_its_user(call, source, tmp_path):
    assert call("convert", source, "-o", tmp_path / "mine").exit_code == 0
    (tmp_path / "mine" / "weights.safetensors").write_bytes(b"damaged")
    (tmp_path / "empty").mkdir()
    run = call("convert", tmp_path / "mine", "-o", tmp_path / "empty")
    assert run.exit_code == 1
    assert "mine/weights.safetensors: these are not the weights" in run.output.replace("\\", "/")
    assert list((tmp_path / "empty").iterdir()) == []
