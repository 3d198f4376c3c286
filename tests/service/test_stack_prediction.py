"""Stacks: every plane as it would be alone, numbers unique or linked, maps in memory or in a file."""

import dask.array as da
import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, Segmentation, SegmentationService, probability_maps
from napari_unetseg.errors import ImageError
from napari_unetseg.service import Failure


@pytest.fixture
def service(bright_model, settings):
    return SegmentationService(bright_model, settings=settings(inference__batch_size=3, inference__window=64))


@pytest.fixture
def volume(squares):
    """Four planes in which three squares move to the right, one pixel a plane."""
    return np.stack([np.roll(squares, step, axis=1) for step in range(4)])


def planes(result):
    return {index: result.labels[index] for index in np.ndindex(result.labels.shape[:-2])}


@pytest.mark.parametrize("augment", [False, True])
def test_each_plane_is_segmented_as_it_would_be_alone(service, volume, augment):
    result = service.segment(Image(volume, "ZYX", name="stack"), augment=augment)
    assert result.labels.shape == volume.shape
    assert result.provenance.tiles == 4 * service.segment(volume[0]).provenance.tiles
    for (z,), labels in planes(result).items():
        single = service.segment(volume[z], augment=augment)
        np.testing.assert_allclose(result.probability[:, z], single.probability, atol=1e-6)
        np.testing.assert_array_equal(labels - 3 * z * (labels > 0), single.labels)
        if augment:
            np.testing.assert_allclose(result.agreement[z], single.agreement, atol=1e-6)
    assert (result.agreement is None) != augment


def test_linked_objects_keep_their_number(service, volume):
    result = service.segment(Image(volume, "TYX"), link=True)
    for labels in planes(result).values():
        assert list(np.unique(labels)) == [0, 1, 2, 3]
    assert (result.count, result.provenance.link) == (3, True)
    assert result.relabel(min_size=50).count == 2


def test_axes_and_channel_say_which_planes_there_are(service, volume):
    array = np.zeros((2, 3, *volume.shape), np.uint16)
    array[:, 1] = volume
    result = service.segment(Image(array, "TCZYX"), channel=1)
    assert result.image.axes == "TZYX"
    assert result.labels.shape == (2, *volume.shape)
    np.testing.assert_array_equal(result.labels > 0, array[:, 1] > 0)
    np.testing.assert_array_equal(np.unique(result.labels), np.arange(2 * 4 * 3 + 1))


def test_the_table_has_a_row_for_each_object_of_each_plane(service, volume):
    table = service.segment(Image(np.stack([volume, volume]), "TZYX", scale=(2, 2), unit="um"), link=True).measurements
    assert list(table)[:4] == ["label", "t", "z", "area_px"]
    assert len(table["label"]) == 2 * 4 * 3
    for t, z in np.ndindex(2, 4):
        rows = (table["t"] == t) & (table["z"] == z)
        assert sorted(table["area_px"][rows]) == [36, 64, 100]
        assert sorted(table["label"][rows]) == [1, 2, 3]


def test_contours_know_their_plane(service, volume):
    result = service.segment(Image(volume, "ZYX"))
    assert list(result.plane_contours) == [(0,), (1,), (2,), (3,)]
    for (z,), contours in result.plane_contours.items():
        assert [contour.label for contour in contours] == [3 * z + 1, 3 * z + 2, 3 * z + 3]
    assert len(result.contours) == 12


def test_relabelling_a_stack_is_a_run_with_the_new_numbers(service, volume):
    image = Image(volume, "ZYX")
    np.testing.assert_array_equal(
        service.segment(image, link=True).relabel(min_size=50, threshold=0.4).labels,
        service.segment(image, link=True, min_size=50, threshold=0.4).labels,
    )


def test_relabelling_a_stack_stops_between_planes(service, volume):
    asked = []

    def stop():
        asked.append(len(asked))
        return len(asked) == 3

    result = service.segment(Image(volume, "ZYX"))
    with pytest.raises(Cancelled):
        result.relabel(threshold=0.4, cancel=stop)
    assert asked == [0, 1, 2]


def test_large_maps_lie_in_a_file_that_goes_with_them(service, volume, monkeypatch):
    image = Image(volume, "ZYX")
    expected = service.segment(image)
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 1000)
    result = service.segment(image)
    assert isinstance(result.probability.base, np.memmap) or isinstance(result.probability, np.memmap)
    assert any("temporary file" in sentence for sentence in result.warnings)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(result.relabel(min_size=50).labels, expected.relabel(min_size=50).labels)
    assert result.confidence.mask_mean == expected.confidence.mask_mean


def test_no_room_on_the_disk_is_said_before_it_runs_out(service, volume, monkeypatch):
    monkeypatch.setattr(probability_maps, "MAPS_IN_MEMORY", 1000)
    monkeypatch.setattr(probability_maps.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(ImageError, match=r"many.*TMPDIR"):
        service.segment(Image(volume, "ZYX", name="many"))


def test_lazy_planes_are_read_one_at_a_time(service, volume):
    read = []

    def load(block, block_info=None):
        if block_info:
            read.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(volume[:, None], chunks=(1, 1, -1, -1)).map_blocks(
        load, dtype=volume.dtype, meta=np.zeros((0, 0, 0, 0), volume.dtype)
    )
    image = Image(da.concatenate([lazy, lazy + 1], axis=1), "ZCYX")
    result = service.segment(image, channel=0)
    assert read == [(z, 0, 0, 0) for z in range(4)]
    np.testing.assert_array_equal(result.labels > 0, volume > 0)


def test_progress_counts_all_planes_from_the_start_and_never_goes_back(service, volume):
    reported = []
    service.segment(Image(volume, "ZYX"), progress=lambda done, total: reported.append((done, total)))
    tiles = service.segment(volume[0]).provenance.tiles
    assert reported[-1] == (4 * tiles, 4 * tiles)
    assert {total for _, total in reported} == {4 * tiles}
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)


def test_cancel_stops_within_the_stack(service, volume):
    with pytest.raises(Cancelled):
        service.segment(Image(volume, "ZYX"), cancel=lambda: True)


def test_a_plane_that_cannot_be_read_is_named(service, volume):
    def load(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise OSError("gone")
        return block

    lazy = da.from_array(volume, chunks=(1, -1, -1)).map_blocks(load, dtype=volume.dtype, meta=np.zeros((0, 0, 0)))
    with pytest.raises(ImageError, match=r"stack: plane Z 3 cannot be read \(gone\)"):
        service.segment(Image(lazy, "ZYX", name="stack"))


@pytest.mark.parametrize("together", [True, False])
def test_stacks_and_planes_share_a_batch(bright_model, settings, volume, squares, together):
    wanted = settings(
        inference__batch_size=3, inference__window=64, inference__enable_batch_processing=together, model__device="cpu"
    )
    service = SegmentationService(bright_model, settings=wanted)
    broken = da.from_array(volume, chunks=(1, -1, -1)).map_blocks(
        lambda block: 1 / 0, dtype=int, meta=np.zeros((0, 0, 0))
    )
    images = [squares, Image(volume, "ZYX"), Image(broken, "ZYX"), Image(volume[:2], "TYX"), squares]
    results = service.segment_batch(images, link=True)
    assert [type(result) for result in results] == [Segmentation, Segmentation, Failure, Segmentation, Segmentation]
    for place in (0, 1, 3, 4):
        np.testing.assert_array_equal(results[place].labels, service.segment(images[place], link=True).labels)
