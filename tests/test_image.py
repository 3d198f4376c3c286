import numpy as np
import pytest

from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image


@pytest.mark.parametrize(
    ("shape", "axes", "rgb", "size"),
    [
        ((40, 50), "YX", False, (40, 50)),
        ((1, 1), "YX", False, (1, 1)),
        ((40, 50, 3), "YXC", True, (40, 50)),
        ((40, 50, 4), "YXC", True, (40, 50)),
        ((3, 40, 50), "CYX", False, (40, 50)),
        ((2, 40, 50), "CYX", False, (40, 50)),
        ((40, 50, 2), "YXC", False, (40, 50)),
    ],
)
def test_a_bare_array_is_read_by_its_shape(shape, axes, rgb, size):
    image = Image.of(np.zeros(shape, np.uint8))
    assert (image.axes, image.rgb, image.shape) == (axes, rgb, size)
    assert image.channels_first.shape[1:] == size


def test_an_image_is_returned_as_it_is():
    image = Image(np.zeros((4, 5)))
    assert Image.of(image) is image


@pytest.mark.parametrize("shape", [(5,), (20, 40, 50), (2, 3, 40, 50)])
def test_what_is_not_one_plane_is_refused_with_its_shape(shape):
    with pytest.raises(ImageError, match=r"stack\.tif.*" + str(shape[-1])):
        Image.of(np.zeros(shape), name="stack.tif")


def test_an_empty_image_is_refused():
    with pytest.raises(ImageError, match="empty"):
        Image(np.zeros((0, 5)), name="nothing")


@pytest.mark.parametrize("dtype", [complex, object, "U1", "datetime64[s]"])
def test_pixels_that_are_no_real_numbers_are_refused(dtype):
    with pytest.raises(ImageError, match="odd"):
        Image(np.zeros((4, 5), dtype), name="odd")


@pytest.mark.parametrize("axes", ["YXC", "CYX"])
def test_taking_a_channel_gives_that_plane(axes):
    planes = np.arange(2 * 4 * 5).reshape(2, 4, 5)
    image = Image(planes if axes == "CYX" else np.moveaxis(planes, 0, -1), axes, scale=(0.5, 0.25), unit="mm")
    taken = image.take_channel(1)
    np.testing.assert_array_equal(taken.array, planes[1])
    assert (taken.axes, taken.scale, taken.unit) == ("YX", (0.5, 0.25), "mm")


@pytest.mark.parametrize("channel", [-1, 2])
def test_a_channel_that_is_not_there_is_refused(channel):
    with pytest.raises(ImageError, match="channel"):
        Image(np.zeros((2, 4, 5)), "CYX").take_channel(channel)


@pytest.mark.parametrize(
    ("axes", "stack", "plane", "size"),
    [
        ("ZYX", "Z", "YX", (5, 6)),
        ("TYX", "T", "YX", (5, 6)),
        ("TCZYX", "TZ", "CYX", (5, 6)),
        ("ZYXC", "Z", "YXC", (5, 6)),
        ("YZX", "Z", "YX", (5, 6)),
        ("YX", "", "YX", (5, 6)),
    ],
)
def test_a_stack_is_read_plane_by_plane(axes, stack, plane, size):
    lengths = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    array = np.arange(np.prod([lengths[axis] for axis in axes])).reshape([lengths[axis] for axis in axes])
    image = Image(array, axes, name="stack")
    assert (image.stack_axes, image.shape) == (stack, size)
    assert image.stack_shape == tuple(lengths[axis] for axis in stack)
    moved = np.moveaxis(array, [axes.index(axis) for axis in stack], range(len(stack)))
    planes = list(image.planes())
    assert [index for index, _ in planes] == list(np.ndindex(image.stack_shape))
    for index, taken in planes:
        assert taken.axes == plane
        np.testing.assert_array_equal(taken.array, moved[index])


def test_a_channel_of_a_stack_is_a_stack():
    array = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    taken = Image(array, "TCZYX").take_channel(2)
    assert taken.axes == "TZYX"
    np.testing.assert_array_equal(taken.array, array[:, 2])


@pytest.mark.parametrize("axes", ["XY", "YYX", "ZY", "Z1YX", "zyx", "", "YCX"])
def test_axes_that_name_no_image_are_refused(axes):
    with pytest.raises(ImageError, match="stack"):
        Image(np.zeros((2,) * len(axes)), axes, name="stack")


def test_a_stack_has_no_channels_of_one_plane():
    with pytest.raises(ImageError, match="take one of its planes"):
        _ = Image(np.zeros((2, 4, 5)), "ZYX").channels_first


@pytest.mark.parametrize(
    ("array", "axes", "varies"),
    [
        (np.zeros((3, 3)), "YX", False),
        (np.array([[np.nan, 2], [2, np.inf]]), "YX", False),
        (np.eye(3), "YX", True),
        (np.array([[[1]], [[2]]]), "ZYX", True),
        (np.array([[[1]], [[2]]]), "CYX", True),
        (np.concatenate([np.zeros((3000, 2)), np.ones((1, 2))]), "YX", True),
    ],
)
def test_an_image_varies_where_two_finite_pixels_differ(array: np.ndarray, axes: str, varies: bool) -> None:
    assert Image(array, axes).varies == varies


@pytest.mark.parametrize(
    "scale",
    [(0, 1), (-0.5, 0.5), (1, float("nan")), (float("inf"), 1), (1,), (1, 1, 1), 0.5, ("a", 1), (None, 1), (1 + 1j, 1)],
)
def test_what_is_no_pixel_size_is_refused(scale):
    with pytest.raises(ImageError, match=r"odd: .* cannot be the size of a step along YX"):
        Image(np.zeros((4, 5)), scale=scale, unit="micrometer", name="odd")


@pytest.mark.parametrize("step", [0, -2.5, float("nan"), "thick"])
def test_what_is_no_step_of_a_stack_is_refused(step):
    with pytest.raises(ImageError, match=r"odd: .* cannot be the size of a step along Z"):
        Image(np.zeros((3, 4, 5)), "ZYX", steps={"Z": (step, "micrometer")}, name="odd")


@pytest.mark.parametrize(
    "steps", [5, "Z", None, [1], {"Z": 1}, {"Z": (1,)}, {"Z": (1, 5)}, {"ZT": (1, "s")}, {5: (1, "s")}]
)
def test_what_names_no_steps_is_refused(steps):
    with pytest.raises(ImageError, match="odd"):
        Image(np.zeros((3, 4, 5)), "ZYX", steps=steps, name="odd")


@pytest.mark.parametrize("axes", [5, True, None, 1.5, b"YX", ["Y", "X"], ("Y", "X")])
def test_axes_that_are_no_text_are_refused(axes):
    with pytest.raises(ImageError, match="name no image"):
        Image(np.zeros((4, 5)), axes)


def test_steps_are_those_of_the_axes_that_are_left():
    steps = {"T": (30.0, "second"), "Z": (2.5, "micrometer")}
    image = Image(np.zeros((2, 3, 4, 5)), "TZYX", scale=(0.5, 0.25), unit="nanometer", steps=steps)
    assert image.steps_along("TZYX") == ((30, 2.5, 0.5, 0.25), ("second", "micrometer", "nanometer", "nanometer"))
    assert image.plane((0, 0)).steps == {}
    assert Image(np.zeros((3, 4, 5)), "ZYX", scale=(2, 2)).steps_along("ZY") == ((1, 1), ("pixel", "pixel"))
