"""What answers say of a result is what the result says."""

import base64
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_unetseg import SegmentationService
from napari_unetseg.api import encodings
from napari_unetseg.api.encodings import (
    confidence_of,
    contours_of,
    draw_heatmap,
    encode_labels,
    encode_mask,
    health_response,
    model_info_response,
    segmentation_response,
    to_geojson,
    to_tiff,
    visualizations_of,
    without_folders,
)
from napari_unetseg.api.models import SegmentChoices
from napari_unetseg.config import Settings
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io import draw_overlay, read_geojson, read_image
from napari_unetseg.postprocessing.contours import rasterise
from napari_unetseg.service.describe import describe
from napari_unetseg.service.reports import Health, ModelIdentity
from napari_unetseg.zoo.card import WeightsFile
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import ModelPackage, usable_models

EVERYTHING = {f"return_{part}": True for part in ("confidence", "contours", "visualizations", "labels")}


def png(text: str) -> np.ndarray:
    return np.array(Pillow.open(io.BytesIO(base64.b64decode(text, validate=True))))


@pytest.fixture(scope="module")
def service(bright_model):
    with SegmentationService(bright_model, settings=Settings(unet={"model": {"device": "cpu"}})) as service:
        yield service


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """Squares of 36 and 64 pixels."""
    image = np.zeros((40, 60), np.uint16)
    image[5:11, 7:13] = 4000
    image[20:28, 40:48] = 4000
    return image


@pytest.fixture(scope="module")
def result(service, squares):
    return service.segment(Image(squares, scale=(0.5, 0.5), unit="micrometer", name="squares"))


def test_the_mask_is_black_and_white_and_of_the_size_of_the_image(result, squares):
    data = base64.b64decode(encode_mask(result.labels))
    with Pillow.open(io.BytesIO(data)) as picture:
        assert (picture.mode, picture.size) == ("L", (60, 40))
        np.testing.assert_array_equal(np.array(picture), np.where(squares > 0, 255, 0))


def numbered(count: int) -> np.ndarray:
    side = int(np.ceil(np.sqrt(count + 1)))
    return np.minimum(np.arange(side * side, dtype=np.int32), count).reshape(side, side)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 65_535])
def test_labels_survive_in_a_png(count):
    encoded = encode_labels(numbered(count))
    assert (encoded.format, encoded.count, encoded.shape) == ("png16", count, numbered(count).shape)
    np.testing.assert_array_equal(png(encoded.data), numbered(count))


@pytest.mark.parametrize("count", [65_536, 70_000])
def test_more_labels_than_a_png_holds_survive(count):
    encoded = encode_labels(numbered(count))
    assert (encoded.format, encoded.count) == ("zlib_int32", count)
    labels = np.frombuffer(zlib.decompress(base64.b64decode(encoded.data)), "<i4").reshape(encoded.shape)
    np.testing.assert_array_equal(labels, numbered(count))


def test_contours_run_along_the_edges_of_pixels(result):
    first, second = contours_of(result)
    assert set(first.points) == {(7, 5), (13, 5), (13, 11), (7, 11)}
    assert first.bounding_box.model_dump() == {"x": 7, "y": 5, "width": 6, "height": 6}
    assert (first.label, first.area, second.label, second.area) == (1, 36, 2, 64)
    assert second.bounding_box.model_dump() == {"x": 40, "y": 20, "width": 8, "height": 8}


def test_confidence_is_the_mean_of_the_probability(result):
    scores, inside = confidence_of(result), result.labels > 0
    assert scores.overall_mean == pytest.approx(result.foreground.mean(), abs=1e-6)
    assert scores.mask_mean == pytest.approx(result.foreground[inside].mean(), abs=1e-6)
    assert scores.background_mean == pytest.approx(result.foreground[~inside].mean(), abs=1e-6)


def test_confidence_without_objects_is_a_number(service):
    scores = confidence_of(service.segment(np.zeros((20, 20), np.uint8)))
    assert scores.mask_mean == 0
    assert scores.background_mean == scores.overall_mean


def test_confidence_that_the_settings_leave_out_is_left_out(result):
    assert confidence_of(replace(result, with_confidence=False)) is None


@pytest.mark.parametrize(
    "image",
    [
        Image(np.kron(np.eye(4), np.ones((9, 9))).astype(np.uint8) * 200),
        Image(np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8), "YXC", rgb=True),
        Image(np.random.default_rng(0).integers(0, 256, (21, 34, 4), dtype=np.uint8), "YXC", rgb=True),
        Image(np.random.default_rng(0).random((3, 21, 34)), "CYX"),
    ],
    ids=["grey", "rgb", "rgba", "channels"],
)
def test_pictures_to_look_at_have_the_size_of_the_image(service, image):
    found = service.segment(image)
    shown = visualizations_of(found)
    np.testing.assert_array_equal(png(shown.overlay), draw_overlay(image, found.labels))
    for picture in (shown.confidence_heatmap, shown.contours):
        assert png(picture).shape == (*image.shape, 3)
        assert png(picture).dtype == np.uint8


def test_the_heatmap_brightens_with_the_probability():
    picture = draw_heatmap(np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 256))[0].astype(int)
    lightness = picture @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(lightness) >= -1).all()
    assert picture[0].max() < 10
    assert tuple(picture[-1]) == (252, 255, 164)
    assert len(np.unique(picture, axis=0)) > 200


def test_the_heatmap_is_dark_where_there_is_no_number():
    assert draw_heatmap(np.full((2, 2), np.nan)).max() < 10


def test_outlines_alone_lie_on_black(result):
    picture = png(visualizations_of(result).contours)
    inside = np.zeros(result.labels.shape, bool)
    inside[6:10, 8:12] = inside[21:27, 41:47] = True
    np.testing.assert_array_equal(picture.any(axis=-1), (result.labels > 0) & ~inside)


def test_an_answer_holds_what_was_asked_for(result):
    plain = segmentation_response(result, SegmentChoices(), "the-id", 12.6)
    assert plain.model_dump(include=set(EVERYTHING)) == {}
    assert (plain.confidence_scores, plain.contours, plain.visualizations, plain.labels) == (None,) * 4
    assert (plain.request_id, plain.processing_time_ms, plain.object_count) == ("the-id", 13, 2)
    assert plain.model_info.model_dump() == {"model_name": "bright", "model_variant": "standard", "device": "cpu"}
    whole = segmentation_response(result, SegmentChoices(**EVERYTHING), "the-id", 12, variant="deep")
    assert None not in (whole.confidence_scores, whole.contours, whole.visualizations, whole.labels)
    assert whole.model_info.model_variant == "deep"
    assert json.loads(whole.model_dump_json())["contours"][0]["points"][0] == [7.0, 5.0]


def test_an_answer_is_of_one_plane(service, squares):
    stack = service.segment(Image(np.stack([squares] * 2), "ZYX", name="stack"))
    with pytest.raises(ImageError, match=r"^stack: is a stack \(ZYX\)"):
        segmentation_response(stack, SegmentChoices(), "a", 1)


def test_warnings_name_no_folder(result):
    warned = replace(result, warnings=("The file /srv/models/a b/weights.pt is old.",))
    assert segmentation_response(warned, SegmentChoices(), "a", 1).warnings == ["The file weights.pt is old."]


def test_a_tiff_holds_labels_and_sizes_but_no_folder(result, tmp_path):
    path = tmp_path / "labels.tif"
    path.write_bytes(to_tiff(result))
    image = read_image(path)
    np.testing.assert_array_equal(image.array, result.labels)
    assert (image.scale, image.unit) == ((0.5, 0.5), "micrometer")
    with tifffile.TiffFile(path) as file:
        provenance = json.loads(file.imagej_metadata["Info"])
    assert provenance["model"] == "bright"
    assert provenance["sha256"] == result.provenance.sha256
    assert provenance["seconds"] == result.provenance.seconds
    assert "/" in result.provenance.model_source
    assert provenance["model_source"] == "bright"


def test_a_stack_is_answered_as_ome_tiff_and_geojson(service, squares, tmp_path):
    stack = service.segment(Image(np.stack([squares, squares[::-1], squares]), "ZYX"))
    path = tmp_path / "labels.ome.tif"
    path.write_bytes(to_tiff(stack))
    np.testing.assert_array_equal(read_image(path).array, stack.labels)
    assert {one["geometry"]["plane"]["z"] for one in json.loads(to_geojson(stack))["features"]} == {0, 1, 2}


def test_geojson_gives_the_labels_back(result, tmp_path):
    path = tmp_path / "contours.geojson"
    path.write_bytes(to_geojson(result))
    found = read_geojson(path)
    np.testing.assert_array_equal(rasterise(list(found.contours), result.labels.shape), result.labels)
    assert (found.scale, found.unit) == ((0.5, 0.5), "micrometer")
    assert list(found.measurements["area_um2"]) == [9, 16]


def plain_types(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain_types(one) for key, one in value.items())
    return all(map(plain_types, value)) if isinstance(value, list) else isinstance(value, str | int | float | None)


def published_package(name: str) -> ModelPackage:
    card = PUBLISHED[name].card(WeightsFile(file="best.pth", sha256=""))
    return ModelPackage(Path("/srv/models") / name, card, "user", is_checkpoint=True)


@pytest.mark.parametrize(
    "package",
    [*usable_models(), *map(published_package, PUBLISHED)],
    ids=lambda package: f"{package.origin} {package.name}",
)
def test_every_model_is_described_by_the_published_types(package):
    answer = model_info_response(describe(package, None), 2048)
    assert "/srv" not in answer.model_dump_json()
    info = json.loads(answer.model_dump_json())
    for shape in (info["input_shape"], info["output_shape"]):
        assert [type(side) for side in shape] == [int] * 4
        assert min(shape) >= 1
    assert info["input_shape"][2:] == info["output_shape"][2:] == info["preprocessing_config"]["image_size"]
    assert type(info["model_parameters"]) is int
    assert type(info["device"]) is str
    for number in ("base_channels", "depth"):
        assert type(info["architecture_details"][number]) is int
        assert info["architecture_details"][number] > 0
    assert type(info["architecture_details"]["use_attention"]) is bool
    for numbers in ("mean", "std"):
        assert [type(one) for one in info["preprocessing_config"][numbers]] == [float] * len(
            info["preprocessing_config"][numbers]
        )
        assert len(info["preprocessing_config"][numbers]) in (1, info["input_shape"][1])
    assert {"JPEG", "PNG", "BMP"} <= set(info["supported_formats"])
    assert plain_types(info)


def test_a_loaded_model_is_described_without_folders(service, result, bright_model):
    info = model_info_response(service.model_info(), 512)
    assert info.checkpoint_path == "weights.safetensors"
    assert info.model_parameters > 0
    assert list(info.input_shape) == [1, 3, 512, 512]
    assert info.preprocessing_config["mean"] == [0.0, 0.0, 0.0]
    assert info.preprocessing_config["std"] == [1.0, 1.0, 1.0]
    assert info.device == "cpu"
    assert info.details["card"]["name"] == "bright"
    assert str(bright_model.parent) not in info.model_dump_json()


def test_what_the_normalisation_subtracts_is_told(service):
    published = service.model_info()
    config = published.preprocessing_config | {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    info = model_info_response(replace(published, preprocessing_config=config, input_shape=(1, 3, 256, 320)), 512)
    assert info.preprocessing_config["mean"] == [0.485, 0.456, 0.406]
    assert info.preprocessing_config["std"] == [0.229, 0.224, 0.225]
    assert info.preprocessing_config["image_size"] == [256, 320]


def test_health_has_the_published_types(service, result):
    health = health_response(service.health())
    assert health.service_healthy
    assert type(health.gpu_available) is bool
    assert {"segmentation", "batch_processing", "confidence_scoring"} <= set(health.capabilities)
    assert health.memory_usage["input_pool_utilization"] == 0
    assert health.details["known_answer"] is None
    assert plain_types(json.loads(health.model_dump_json()))


def test_health_before_anything_is_loaded_names_no_folder():
    problem = "/home/somebody/my models/a.pth: there is no such file; check C:\\models\\b.pth."
    health = Health(False, False, False, None, None, ModelIdentity("a", "standard", None), problems=(problem,))
    answer = health_response(health)
    assert answer.gpu_available is False
    assert answer.details["problems"] == ["a.pth: there is no such file; check b.pth."]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/a/b/c.pt", "c.pt"),
        ("'/a/b c/d.pt' and \"/e/f\"", "'d.pt' and \"f\""),
        ("(\\\\server\\share\\x.pt)", "(x.pt)"),
        ("D:\\models\\x.pt: no", "x.pt: no"),
        ("see https://example.org/a/b.html", "see https://example.org/a/b.html"),
        ("3/4 of and/or 5 / 6 m/s", "3/4 of and/or 5 / 6 m/s"),
        ("torch, openvino", "torch, openvino"),
    ],
)
def test_of_paths_the_last_part_is_left(text, plain):
    assert without_folders({"a": [text, 1, None]}) == {"a": [plain, 1, None]}


def test_pngs_come_from_imagecodecs(monkeypatch):
    calls = []
    monkeypatch.setattr(imagecodecs, "png_encode", lambda array, **options: calls.append(options) or b"png")
    assert base64.b64decode(encodings.encode_mask(np.zeros((4, 4), np.int32))) == b"png"
    assert calls == [{"level": 1, "strategy": 3, "filter": 32}]
