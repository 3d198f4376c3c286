"""How many images of a batch may be under way; `test_pipeline` has what threads make of it."""

import numpy as np
import pytest

from napari_unetseg import Image
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service import images_under_way
from napari_unetseg.service.batch_queue import BatchItem
from napari_unetseg.service.images_under_way import ImagesUnderWay
from napari_unetseg.zoo.registry import find_model


def read(side: int = 10) -> BatchItem:
    item = BatchItem.of(Image(np.zeros((side, side), np.uint8), name="image"), 0)
    item.read(SegmentOptions(), find_model("nuclei").card)
    return item


def unread() -> BatchItem:
    return BatchItem.of(lambda: Image(np.zeros((10, 10), np.uint8), name="image"), 0)


def test_until_one_was_read_no_other_is_drawn():
    under_way = ImagesUnderWay(1)
    item = unread()
    under_way.draw(item)
    assert (under_way.has_room_ahead, under_way.first_read, under_way.take(0)) == (False, None, None)
    item.read(SegmentOptions(), find_model("nuclei").card)
    under_way.note_read()
    assert under_way.has_room_ahead
    assert under_way.take(0) is item
    assert under_way.first is item


@pytest.mark.parametrize(("pixels", "is_room"), [(200, True), (199, False)])
def test_what_waits_for_the_network_is_bounded_in_pixels(monkeypatch, pixels, is_room):
    monkeypatch.setattr(images_under_way, "MOST_PIXELS", pixels)
    under_way = ImagesUnderWay(1)
    assert under_way.has_room_ahead
    under_way.draw(read())
    assert under_way.has_room_ahead == is_room


def test_so_many_wait_as_a_network_has_at_once():
    under_way = ImagesUnderWay(1)
    for beside in range(4):
        under_way.draw(read())
        under_way.take(beside)
    count = 0
    while under_way.has_room_ahead:
        under_way.draw(read())
        count += 1
    assert count == 4


def test_what_is_beyond_the_network_is_bounded_but_the_image_that_is_due_goes_on():
    under_way = ImagesUnderWay(1)
    items = [read() for _ in range(6)]
    for item in items:
        under_way.draw(item)
    taken = [under_way.take(0) for _ in items]
    assert taken == items
    for item in items[1:4]:
        assert under_way.has_room_beyond(item)
        under_way.note_computed(item)
    assert not under_way.has_room_beyond(items[4])
    assert under_way.has_room_beyond(items[0])
    under_way.put_back(items[:1])  # the device that had it broke
    assert under_way.has_room_beyond(items[4])
    assert under_way.take(1) is items[0]
    for item in items[:1]:
        under_way.note_computed(item)
    under_way.give_back()
    under_way.give_back()
    assert under_way.has_room_beyond(items[4])
