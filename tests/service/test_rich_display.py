"""What a notebook shows of a segmentation."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_unetseg import Image, SegmentationService
from napari_unetseg.io import draw_overlay
from napari_unetseg.service import Segmentation
from napari_unetseg.service.rich_display import MAX_SIDE, as_html, thumbnail


@pytest.fixture(scope="module")
def service(bright_model: Path) -> SegmentationService:
    return SegmentationService(bright_model, "cpu")


def squares(height: int, width: int) -> Image:
    array = np.zeros((height, width), np.uint16)
    for y in range(10, height - 20, 40):
        for x in range(10, width - 20, 40):
            array[y : y + 20, x : x + 20] = 900
    return Image(array, name="<b>&", scale=(0.5, 0.5), unit="micrometer")


def picture(html: str) -> np.ndarray:
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return np.asarray(imageio.imread(base64.b64decode(data), extension=".png"))


def test_a_small_image_is_drawn_as_it_is(service: SegmentationService) -> None:
    result = service.segment(squares(80, 120))
    np.testing.assert_array_equal(picture(result._repr_html_()), draw_overlay(result.image, result.labels))


def test_a_large_image_is_drawn_smaller_with_every_outline(service: SegmentationService) -> None:
    result = service.segment(squares(900, 300))
    drawn = thumbnail(result)
    assert drawn.shape == (300, 100, 3)
    assert max(drawn.shape) <= MAX_SIDE
    coloured = np.ptp(drawn.astype(int), axis=-1) > 0
    for y, x in zip(result.measurements["bbox_min_y_px"], result.measurements["bbox_min_x_px"], strict=True):
        assert coloured[y // 3 : (y + 20) // 3, x // 3 : (x + 20) // 3].any()


def test_words_and_table_say_what_was_found(service: SegmentationService) -> None:
    result = replace(service.segment(squares(80, 300)), warnings=("slow & steady",))
    html = result._repr_html_()
    assert f"<strong>{result.count} objects</strong> in &lt;b&gt;&amp;" in html
    assert "slow &amp; steady" in html
    assert html.count("<tr") == 1 + 5
    assert f"and {result.count - 5} more" in html
    assert "<th>area_um2</th>" in html


def test_nothing_found_still_shows_the_image(service: SegmentationService) -> None:
    html = as_html(service.segment(squares(80, 120), min_size=10_000))
    assert "<strong>0 objects</strong>" in html
    assert picture(html).shape == (80, 120, 3)


def test_colours_and_stacks_are_drawn(service: SegmentationService) -> None:
    flat = squares(450, 80).array
    rgb = Image(np.stack([flat // 4] * 3, axis=-1).astype(np.uint8), "YXC", rgb=True)
    stack = Image(np.stack([flat, flat * 0, flat]), "ZYX")
    for image in (rgb, stack):
        result: Segmentation = service.segment(image)
        assert thumbnail(result).shape == (225, 40, 3)
