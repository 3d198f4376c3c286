import dask.array as da
import numpy as np
import pytest

from napari_unetseg.image import Image
from napari_unetseg.inference import intensity_range, normalisation
from napari_unetseg.inference.backends.intensities import BOUND, rescale
from napari_unetseg.inference.intensity_range import full_range
from napari_unetseg.inference.normalisation import IntensityRanges, find_ranges, normalise
from napari_unetseg.inference.tiling.exact import mirrored
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import IMAGENET, Linear, MeanStd, MinMax, Percentile, ZScore

HALF = Percentile(low=25, high=75)
DTYPES = [bool, *np.typecodes["AllInteger"], np.float16, np.float32, np.float64]


@pytest.fixture
def ramp():
    """0 to 120, so that the 25th and 75th percentiles are 30 and 90."""
    return np.arange(121, dtype=np.float64).reshape(11, 11)


def everywhere_invalid(pixels):
    """Where pixels have no value, as maps are cleared there and as it is asked for a part."""
    maps = np.ones((2, *pixels.planes.shape[1:]), np.float32)
    pixels.clear_invalid(maps)
    cleared = maps == 0
    assert np.array_equal(*cleared)
    part = (slice(1, None), slice(0, 3))
    asked = pixels.invalid(part)
    np.testing.assert_array_equal(cleared[0][part], False if asked is None else asked)
    return cleared[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_type_becomes_float32_between_its_percentiles(dtype):
    pixels = np.repeat([0, 0, 0, 1, 1, 1], 6).reshape(6, 6).astype(dtype)
    prepared = normalise(Image.of(pixels), HALF, 3)
    assert prepared.array.dtype == np.float32
    assert prepared.array.shape == (3, 6, 6)
    assert np.array_equal(prepared.array, np.broadcast_to(pixels.astype(np.float32), (3, 6, 6)))
    assert prepared.found.invalid == 0
    assert prepared.found.warnings == ()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_the_whole_range_of_an_integer_type_does_not_wrap(dtype):
    limits = np.iinfo(dtype)
    prepared = normalise(Image.of(np.array([[limits.min, limits.max]], dtype)), Percentile(low=0, high=100), 1)
    assert prepared.array.tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_whole_range_of_a_float_type_does_not_overflow(dtype):
    limits = np.finfo(dtype)
    prepared = normalise(Image.of(np.array([[limits.min, 0, limits.max]], dtype)), Percentile(low=0, high=100), 1)
    assert prepared.array.tolist() == [[[0.0, 0.5, 1.0]]]


@pytest.mark.parametrize("extreme", [1e300, -1e300])
def test_one_extreme_pixel_stays_finite_and_changes_no_other(ramp, extreme):
    plain = normalise(Image.of(ramp), HALF, 1).array
    spoiled = ramp.copy()
    spoiled[0, 0] = extreme
    array = normalise(Image.of(spoiled), HALF, 1).array
    assert array[0, 0, 0] == np.sign(extreme) * BOUND
    assert np.abs(array - plain)[0].ravel()[1:].max() < 0.05


def test_values_outside_the_percentiles_are_not_clipped(ramp):
    array = normalise(Image.of(ramp), HALF, 1).array
    np.testing.assert_allclose(array[0], (ramp - 30) / 60, atol=1e-6)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_is_zero(value):
    prepared = normalise(Image.of(np.full((5, 4), value, np.uint8)), HALF, 3)
    assert not prepared.array.any()
    assert prepared.found.warnings == ()


def test_few_objects_on_a_background_of_one_value_are_still_seen():
    pixels = np.zeros((100, 100), np.uint16)
    pixels[:3, :3] = 500
    array = normalise(Image.of(pixels), Percentile(), 1).array
    assert np.array_equal(array[0], pixels / np.float32(500))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_without_a_value_become_low_and_are_counted(ramp, bad):
    ramp[3, 4] = ramp[5, 6] = bad
    prepared = normalise(Image.of(ramp, name="scan"), HALF, 3)
    assert np.argwhere(everywhere_invalid(prepared)).tolist() == [[3, 4], [5, 6]]
    assert prepared.array[:, 3, 4].tolist() == [0, 0, 0]
    assert prepared.ranges == (tuple(np.percentile(ramp[np.isfinite(ramp)], (25, 75))),)
    assert prepared.found.warnings == ("scan: 2 of 121 pixels are NaN or infinite; they are taken as background.",)


def test_an_image_without_any_value_is_zero():
    prepared = normalise(Image.of(np.full((3, 3), np.nan)), HALF, 3)
    assert everywhere_invalid(prepared).all()
    assert not prepared.array.any()


def test_a_pixel_is_invalid_if_any_colour_is():
    colours = np.random.default_rng(0).random((6, 6, 3))
    colours[1, 2, 1] = np.nan
    assert np.argwhere(everywhere_invalid(normalise(Image.of(colours), HALF, 3))).tolist() == [[1, 2]]


def test_colours_share_one_range_and_alpha_is_dropped():
    rgba = np.random.default_rng(0).integers(0, 200, (9, 7, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    array = normalise(Image.of(rgba), HALF, 3).array
    low, high = np.percentile(rgba[..., :3], (25, 75))
    np.testing.assert_allclose(array, np.moveaxis((rgba[..., :3] - low) / (high - low), -1, 0), atol=1e-5)


def test_a_picture_in_one_colour_is_a_grey_one():
    grey = np.random.default_rng(0).integers(0, 255, (9, 7)).astype(np.uint8)
    blue = np.zeros((9, 7, 3), np.uint8)
    blue[..., 2] = grey
    expected = normalise(Image(grey), HALF, 3).array
    np.testing.assert_array_equal(normalise(Image.of(blue), HALF, 3).array, expected)
    blue[4, 4, 0] = 1  # now red shows something too
    assert not np.array_equal(normalise(Image.of(blue), HALF, 3).array, expected)


def test_an_rgb_image_is_averaged_for_a_grey_network():
    rgb = np.random.default_rng(0).random((6, 5, 3))
    colours = normalise(Image.of(rgb), HALF, 3).array
    grey = normalise(Image.of(rgb), HALF, 1).array
    np.testing.assert_allclose(grey, colours.mean(axis=0, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_of_other_channels_the_first_is_used_and_the_user_told(count):
    stack = np.random.default_rng(0).random((count, 12, 11))
    image = Image(stack, "CYX", name="stack")
    prepared = normalise(image, HALF, 3)
    assert np.array_equal(prepared.array, normalise(image.take_channel(0), HALF, 3).array)
    assert f"first of its {count} channels" in prepared.found.warnings[0]
    assert "Choose a channel" in prepared.found.warnings[0]
    assert normalise(image.take_channel(1), HALF, 3).found.warnings == ()


def test_three_channels_that_are_not_called_rgb_are_used_and_the_user_told():
    stack = np.random.default_rng(0).random((3, 12, 11))
    prepared = normalise(Image(stack, "CYX"), HALF, 3)
    assert np.array_equal(prepared.array, normalise(Image(stack, "CYX", rgb=True), HALF, 3).array)
    assert "red, green and blue" in prepared.found.warnings[0]


def test_a_single_channel_axis_is_a_grey_image(ramp):
    prepared = normalise(Image(ramp[np.newaxis], "CYX"), HALF, 3)
    assert prepared.found.warnings == ()
    assert np.array_equal(prepared.array, normalise(Image.of(ramp), HALF, 3).array)


def test_the_image_is_left_as_it_was(ramp):
    ramp[0, 0] = np.nan
    before = ramp.copy()
    assert normalise(Image.of(ramp), HALF, 1).array.shape == (1, 11, 11)
    assert np.array_equal(ramp, before, equal_nan=True)


def test_any_part_can_be_read_in_any_order(ramp):
    prepared = normalise(Image.of(ramp), HALF, 3)
    rows, columns = np.array([3, 2, 2]), np.array([10, 0])
    assert np.array_equal(prepared.read(rows, columns), prepared.array[:, [3, 2, 2]][:, :, [10, 0]])


def whole_range(dtype, top):
    """An RGB image from 0 to `top`, the brightest pixel among them."""
    pixels = np.random.default_rng(0).integers(0, top, (7, 6, 3), endpoint=True).astype(dtype)
    pixels[3, 3, 1] = top
    return pixels


@pytest.mark.parametrize(
    ("dtype", "top", "white"),
    [
        (np.uint8, 255, 255),
        (np.uint8, 3, 255),
        (np.uint16, 65535, 65535),
        (np.uint16, 4096, 65535),
        (np.uint16, 4095, 4095),
        (np.uint16, 255, 255),
        (np.uint32, 70000, 70000),
        (np.float32, 0.5, 1),
        (np.float64, 1, 1),
        (np.float64, 80, 80),
        (bool, 1, 1),
    ],
)
def test_imagenet_statistics_apply_to_the_full_range_of_the_pixels(dtype, top, white):
    pixels = whole_range(dtype, top)
    assert full_range(pixels) == white
    unit = pixels.astype(np.float64) / white
    expected = ((unit - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)
    array = normalise(Image.of(pixels), IMAGENET, 3).array
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-6)


def test_sixteen_bits_are_not_cut_to_eight():
    pixels = np.array([[0, 256, 257, 65535]], np.uint16)
    array = normalise(Image.of(pixels), MeanStd(mean=(0,), std=(1,)), 1).array
    np.testing.assert_allclose(array[0], pixels / 65535, atol=1e-7)
    assert array[0, 0, 1] != array[0, 0, 2]


def test_twelve_bits_in_sixteen_are_told():
    prepared = normalise(Image.of(whole_range(np.uint16, 3000), name="camera"), IMAGENET, 3)
    assert prepared.found.warnings == (
        "camera: no pixel of this uint16 image is above 4095, which is taken as full white.",
    )
    assert normalise(Image.of(whole_range(np.uint16, 60000)), IMAGENET, 3).found.warnings == ()
    assert normalise(Image.of(whole_range(np.uint8, 60)), IMAGENET, 3).found.warnings == ()


def test_a_grey_image_is_repeated_before_each_channel_gets_its_own_statistics(ramp):
    pixels = ramp.astype(np.uint8)
    array = normalise(Image.of(pixels), IMAGENET, 3).array
    repeated = np.repeat(pixels[..., np.newaxis], 3, axis=2)
    assert np.array_equal(array, normalise(Image(repeated, "YXC", rgb=True), IMAGENET, 3).array)
    assert not np.array_equal(array[0], array[1])


def test_one_mean_serves_all_channels_and_a_grey_network():
    rgb = whole_range(np.uint8, 255)
    normalisation = MeanStd(mean=(0.5,), std=(0.25,))
    colours = normalise(Image.of(rgb), normalisation, 3).array
    np.testing.assert_allclose(colours, (rgb.transpose(2, 0, 1) / 255 - 0.5) / 0.25, atol=1e-6)
    grey = normalise(Image.of(rgb), normalisation, 1).array
    np.testing.assert_allclose(grey, colours.mean(axis=0, keepdims=True), atol=1e-6)


def test_pixels_without_a_value_become_the_mean():
    pixels = np.array([[0.2, np.nan, np.inf, 0.9]])
    prepared = normalise(Image.of(pixels), IMAGENET, 3)
    assert prepared.array[:, 0, 1:3].tolist() == [[0, 0]] * 3
    assert everywhere_invalid(prepared).tolist() == [[False, True, True, False]]
    assert full_range(np.array([[np.nan]])) == 1


def test_min_and_max_become_zero_and_one(ramp, monkeypatch):
    monkeypatch.setattr(intensity_range, "EXACT_PIXELS", 10)  # a subsample would miss them
    array = normalise(Image.of(ramp), MinMax(), 3).array
    np.testing.assert_allclose(array, np.broadcast_to(ramp / 120, (3, 11, 11)), atol=1e-6)


def test_min_and_max_are_those_of_all_colours_together():
    rgb = np.array([[[10, 20, 30], [40, 50, 110]]], np.uint8)
    np.testing.assert_allclose(normalise(Image(rgb, "YXC", rgb=True), MinMax(), 3).array[:, 0, 0], [0, 0.1, 0.2])


@pytest.mark.parametrize("kind", [Percentile(low=1, high=99), MinMax(), IMAGENET])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_image_that_is_read_in_tiles_is_seen_as_the_one_in_memory(monkeypatch, kind, dtype):
    pixels = np.random.default_rng(3).integers(1, 200, (40, 50)).astype(dtype)
    if dtype == np.float32:
        pixels[3, 4], pixels[38, 2] = np.nan, np.inf
    whole = normalise(Image(pixels), kind, 3)
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 100)
    monkeypatch.setattr(intensity_range, "_PIECE", 300)
    lazy = normalise(Image(da.from_array(pixels, chunks=(7, 11))), kind, 3)
    assert isinstance(lazy.planes, da.Array)
    assert lazy.found == whole.found
    np.testing.assert_array_equal(everywhere_invalid(lazy), everywhere_invalid(whole))
    rows, columns = np.array([38, 39, 39, 38]), np.arange(20, 50)
    seen = lazy.read(rows, columns)
    assert isinstance(seen, np.ndarray)
    np.testing.assert_array_equal(seen, whole.read(rows, columns))


def test_a_tile_reads_only_the_chunks_it_needs(monkeypatch):
    read = []

    def load(block, block_info=None):
        if block_info:
            read.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(np.arange(1600, dtype=np.uint16).reshape(40, 40), chunks=10).map_blocks(
        load, dtype=np.uint16, meta=np.zeros((0, 0), np.uint16)
    )
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 100)
    prepared = normalise(Image(lazy), HALF, 1)
    read.clear()
    prepared.read(np.arange(12, 18), np.arange(8, 12))
    assert sorted(read) == [(1, 0), (1, 1)]


def test_it_is_told_of_which_rows_and_columns_the_percentiles_are(monkeypatch):
    pixels = np.zeros((40, 40), np.uint8)
    assert normalise(Image(pixels), HALF, 1).found.sampled == 1
    monkeypatch.setattr(intensity_range, "EXACT_PIXELS", 400)
    assert normalise(Image(pixels), HALF, 1).found.sampled == 2
    assert normalise(Image(pixels), MinMax(), 1).found.sampled == 1


def plainly(pixels, rows, columns):
    """What a network is to see, in the words of the definition."""
    seen = pixels.planes[:, rows[:, np.newaxis], columns]
    if len(pixels.ranges) > 1:
        repeated = np.broadcast_to(seen, (3, *seen.shape[1:]))
        return np.stack([rescale(plane, *ends) for plane, ends in zip(repeated, pixels.ranges, strict=True)])
    values = rescale(seen, *pixels.ranges[0])
    return values if len(values) in (1, pixels.channels) else values.mean(axis=0, keepdims=True)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("order", ["YXC", "CYX"])
@pytest.mark.parametrize(("channels", "kind"), [(1, Percentile()), (3, Percentile()), (3, IMAGENET)])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, ">u2", np.float16, np.float32])
def test_what_is_read_is_what_rescaling_gives(monkeypatch, dtype, colours, channels, kind, order, channels_last):
    monkeypatch.setattr(normalisation, "_AT_ONCE", 5000)
    # Small enough to be drawn at once, large enough for tables of two bytes.
    side = 400 if np.dtype(dtype).itemsize == 2 else 60
    array = np.random.default_rng(0).normal(60, 20, (side, side, colours)).astype(dtype)
    image = (
        Image(np.moveaxis(array, -1, 0).copy(), "CYX", rgb=True) if order == "CYX" else Image(array, "YXC", rgb=True)
    )
    pixels = normalise(image, kind, channels)
    rows, columns = mirrored(side, side + 12), np.arange(7, side)
    out = np.full((channels, len(rows), len(columns)), np.nan, np.float32)
    if channels_last:
        out = np.full((len(rows), len(columns), channels), np.nan, np.float32).transpose(2, 0, 1)
    assert pixels.read(rows, columns, out) is out
    np.testing.assert_array_equal(out, np.broadcast_to(plainly(pixels, rows, columns), out.shape))


def test_pixels_that_are_not_in_memory_are_not_for_a_device(ramp, monkeypatch):
    assert np.shares_memory(normalise(Image.of(ramp), HALF, 1).raw.planes, ramp)
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 100)
    assert normalise(Image(da.from_array(ramp, chunks=5)), HALF, 1).raw is None


def test_a_large_file_is_not_for_a_device_as_a_whole(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((1, 20, 20), np.uint8))
    on_disk = Image(np.load(tmp_path / "a.npy", mmap_mode="r"), "CYX")
    assert normalise(on_disk, MinMax(), 1).raw.planes.shape == (1, 20, 20)
    monkeypatch.setattr(normalisation, "READ_AT_ONCE", 100)
    assert normalise(on_disk, MinMax(), 1).raw is None


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(Percentile(low=1, high=99), 1), (MinMax(), 3), (IMAGENET, 3), (MeanStd(mean=(0.5,), std=(0.25,)), 1)],
)
def test_who_is_told_the_ranges_sees_what_the_finder_of_them_saw(kind, channels):
    pixels = np.random.default_rng(3).normal(100, 40, (40, 50, 4)).astype(np.float32)
    pixels[3, 4, 1] = np.nan
    image = Image(pixels, "YXC", rgb=True, name="scan")
    lazy = Image(da.from_array(pixels, chunks=(7, 11, 4)), "YXC", rgb=True, name="scan")
    whole = normalise(image, kind, channels)
    found = find_ranges(lazy, kind, channels)
    assert found == whole.found
    told = IntensityRanges.model_validate_json(found.model_dump_json())
    parts = normalise(lazy, kind, channels, told)
    assert isinstance(parts.planes, da.Array)
    np.testing.assert_array_equal(parts.array, whole.array)
    np.testing.assert_array_equal(everywhere_invalid(parts), everywhere_invalid(whole))


def test_of_a_blue_picture_the_others_are_told_which_channel_it_is():
    blue = np.zeros((9, 7, 3), np.uint8)
    blue[..., 2] = np.random.default_rng(0).integers(0, 255, (9, 7))
    image = Image.of(blue)
    found = find_ranges(image, HALF, 3)
    assert found.used == (2, 3)
    np.testing.assert_array_equal(normalise(image, HALF, 3, found).array, normalise(image, HALF, 3).array)


def test_what_is_said_of_an_image_can_still_be_translated():
    warnings = find_ranges(Image(np.array([[1.0, np.nan]])), HALF, 1).warnings
    assert [type(sentence) for sentence in warnings] == [Sentence]


def two_stains(dtype):
    """Two channels of quite different brightness, (C, Y, X), floats not all finite."""
    random = np.random.default_rng(3)
    planes = np.stack([random.normal(40, 9, (23, 31)), random.normal(120, 20, (23, 31))])
    if dtype is bool:
        return planes > np.array([40, 120])[:, None, None]
    planes = planes.clip(0, 127).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        planes[0, 2, 3], planes[1, 4, 5] = np.nan, np.inf
    return planes


def by_numpy(planes, kind):
    """What the definition gives, in float64, of the planes that belong together."""
    values = planes.astype(np.float64)
    finite = values[np.isfinite(values)]
    if isinstance(kind, ZScore):
        low, span = finite.mean(), finite.std() + kind.eps
    elif isinstance(kind, MinMax):
        low, span = finite.min(), np.ptp(finite)
    else:
        low, high = np.percentile(finite, [kind.low, kind.high])
        span = high - low
    values[~np.isfinite(values)] = low
    return (values - low) / span


@pytest.mark.parametrize("clip", [None, (-0.5, 0.75)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [ZScore(), ZScore(eps=0.1), MinMax(), Percentile(low=5, high=90)])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64])
def test_channels_are_taken_together_or_each_by_itself_within_limits(dtype, kind, per_channel, clip):
    kind = kind.model_copy(update={"per_channel": per_channel, "clip": clip})
    planes = two_stains(dtype)
    expected = np.stack([by_numpy(plane, kind) for plane in planes]) if per_channel else by_numpy(planes, kind)
    if clip is not None:
        expected = expected.clip(*clip)
    result = normalise(Image(planes, "CYX"), kind, 2).array
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_values_are_seen_as_they_are_stored_with_a_gain_and_an_offset_for_each_channel(dtype):
    planes = two_stains(dtype)
    planes[0, 0, :2] = 0, np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 3e30
    kind = Linear(gain=(1, 0.5), offset=(0, -3))
    result = normalise(Image(planes, "CYX"), kind, 2).array
    stored = planes.astype(np.float64)
    expected = stored * np.array([1, 0.5])[:, None, None] + np.array([0, -3])[:, None, None]
    expected[~np.isfinite(expected)] = 0
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-5)


def test_one_gain_holds_for_a_grey_image_in_three_channels_and_within_limits():
    grey = np.array([[0, 100, 255]], np.uint8)
    kind = Linear(gain=(1 / 255,), offset=(0.25,), clip=(0.3, 1.0))
    result = normalise(Image.of(grey), kind, 3).array
    expected = (grey / 255 + 0.25).clip(0.3, 1)
    np.testing.assert_allclose(result, np.broadcast_to(expected, (3, 1, 3)), rtol=1e-6)


def test_colours_for_a_network_of_two_channels_are_averaged_after_each_channels_own_numbers():
    colours = np.array([[[0, 30, 60]]], np.uint8)
    result = normalise(Image(colours, "YXC", rgb=True), Linear(gain=(1, 2), offset=(0, 5)), 2).array
    assert result.ravel().tolist() == [30, 65]


@pytest.mark.parametrize("clip", [None, (0.25, 1.0)])
def test_an_image_of_one_value_becomes_zero_or_the_nearest_limit(clip):
    for kind in (ZScore(clip=clip), MinMax(clip=clip), Percentile(clip=clip)):
        for dtype in (np.uint8, np.float32):
            result = normalise(Image.of(np.full((4, 5), 7, dtype)), kind, 1).array
            assert np.unique(result).tolist() == [0.25 if clip else 0]


@pytest.mark.parametrize("kind", [ZScore(per_channel=True), ZScore(clip=(-1, 1)), Linear(gain=(2,), offset=(1,))])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_the_same_bits_come_from_memory_from_parts_and_from_tables(monkeypatch, dtype, kind):
    monkeypatch.setattr(intensity_range, "_PIECE", 64)
    planes = two_stains(dtype)
    lazily = da.from_array(planes, chunks=(1, 7, 5))
    expected = normalise(Image(planes, "CYX"), kind, 2)
    found = find_ranges(Image(lazily, "CYX"), kind, 2)
    assert found == expected.found
    part = normalise(Image(lazily, "CYX"), kind, 2, found)
    np.testing.assert_array_equal(part.array, expected.array)
    # A larger image of the same values is looked up in tables.
    large = np.tile(planes, (1, 15, 15))
    looked_up = normalise(Image(large, "CYX"), kind, 2, found)
    assert (looked_up._tables is not None) == (dtype == np.uint16)
    np.testing.assert_array_equal(looked_up.array[:, :23, :31], expected.array)


def test_a_whole_range_of_floats_has_a_mean_that_does_not_overflow():
    ends = np.finfo(np.float64)
    mean, deviation = intensity_range.moments(np.array([[ends.min, ends.max]]))
    assert (mean, deviation) == (0, ends.max)
