"""Objects and images are doubted for what is seen of them, and told why."""

import numpy as np
import pytest

from napari_unetseg.batch.doubt import DOUBTFUL, Typical, doubt_image, missed_object
from napari_unetseg.batch.object_columns import ObjectColumns
from napari_unetseg.language import Sentence


def table(count=10, *, area=100.0, confidence=0.99, **columns):
    """Objects side by side that nothing is wrong with, but for what is given."""
    corners = 20 * np.arange(1, count + 1)
    box = np.column_stack([corners, corners, corners + 10, corners + 10])
    measured = {"confidence": confidence, "solidity": 0.95} | columns
    return ObjectColumns(
        label=np.arange(1, count + 1),
        plane=np.zeros((count, 0), np.int64),
        area=np.broadcast_to(np.asarray(area, float), count),
        bbox=box,
        at_border=np.zeros(count, bool),
        measured={name: np.broadcast_to(np.asarray(value, float), count) for name, value in measured.items()},
    )


def judge(own, *others, **options):
    return doubt_image(own, Typical.of([own, *others]), **{"lowest_confidence": 0.5, **options})


def one_odd(usual, odd, count=10):
    values = np.full(count, usual)
    values[3] = odd
    return values


def test_nothing_is_doubted_where_all_is_as_usual():
    judged = judge(table())
    assert judged.doubt < 0.01
    assert (judged.reasons, judged.objects) == ((), ())


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"confidence": one_odd(0.99, 0.55)}, "Low confidence: 0.55, where 0.50 is the least."),
        ({"agreement": one_odd(0.99, 0.8)}, "Flipped and turned, the image gives another outline (agreement 0.80)."),
        ({"area": one_odd(100, 1000)}, "It is 10.0 times as large as the others."),
        ({"area": one_odd(100, 12)}, "It is small: 12 % of the usual area."),
        ({"solidity": one_odd(0.95, 0.7)}, "Its outline is uneven (solidity 0.70): it may be several objects"),
    ],
)
def test_the_odd_one_is_doubted_and_why(odd, said):
    judged = judge(table(**odd))
    (found,) = judged.objects
    assert (found.label, found.bbox) == (4, (80, 80, 90, 90))
    assert found.doubt >= DOUBTFUL
    assert found.reasons[0].startswith(said)
    assert judged.reasons[0].endswith("1 of 10 objects.")


def test_confidence_counts_from_the_lowest_that_an_object_may_have():
    at_half = judge(table(confidence=0.85), lowest_confidence=0.5).doubt
    at_four_fifths = judge(table(confidence=0.85), lowest_confidence=0.8).doubt
    assert at_half < 0.1 < at_four_fifths


def test_reasons_add_up_and_the_weightiest_comes_first():
    once = judge(table(confidence=one_odd(0.99, 0.6))).objects[0]
    twice = judge(table(confidence=one_odd(0.99, 0.6), solidity=one_odd(0.95, 0.87))).objects[0]
    assert once.doubt < twice.doubt < 1
    assert [reason.split(":")[0][:14] for reason in twice.reasons] == ["Low confidence", "Its outline is"]


def test_an_object_that_the_border_cuts_is_not_small_but_may_be_large():
    small, large = table(area=one_odd(100, 12)), table(area=one_odd(100, 1000))
    for own in (small, large):
        own.at_border[3] = True
    assert judge(small).objects == ()
    assert [found.label for found in judge(large).objects] == [4]


def test_what_the_table_does_not_tell_is_not_doubted():
    own = table(confidence=np.nan, solidity=np.nan)
    assert judge(own).doubt == 0
    own.measured.clear()
    assert judge(own).doubt == 0


def test_of_few_objects_the_folder_says_what_is_usual():
    own = table(2, area=1000)
    assert len(judge(own, table(50)).objects) == 2
    assert judge(own).objects == ()


def test_unevenness_is_measured_by_that_of_the_folder():
    """Where all outlines are uneven, as those of cells with branches, none is odd for that."""
    smooth, branched = table(30, solidity=0.95), table(30, solidity=np.linspace(0.5, 0.95, 30))
    own = table(1, solidity=0.7)
    assert len(judge(own, smooth).objects) == 1
    assert judge(own, branched).objects == ()


def test_an_image_without_objects_is_to_be_looked_at():
    judged = judge(table(0), table())
    assert judged.doubt == pytest.approx(0.5)
    assert judged.reasons == ("No object was found.",)


def test_an_image_unlike_the_others_of_its_folder_is_doubted():
    others = [table(30) for _ in range(8)]
    crowded, coarse, usual = table(3000), table(30, area=10_000), table(31)
    assert judge(usual, *others).doubt < 0.01
    assert judge(crowded, *others).reasons == ("3000 objects, where others have about 30.",)
    assert judge(coarse, *others).reasons == ("Its objects are about 113 pixels wide, where others have 11.",)
    # Of few images none is usual.
    assert judge(crowded, *others[:3]).doubt < 0.01


def test_missed_objects_and_a_warning_raise_the_doubt_and_are_told():
    spot = missed_object((), (1, 2, 3, 4), 0.42)
    unlike = Sentence("The image looks unlike what {model} knows.", model="Nuclei")
    plain, missed, warned = judge(table()), judge(table(), missed=[spot]), judge(table(), unlike=unlike)
    assert plain.doubt < missed.doubt < warned.doubt
    assert missed.reasons == ("Objects that may be missing: 1.",)
    assert missed.objects == (spot,)
    assert spot.reasons == ("There may be an object that was not found (confidence 0.42).",)
    assert warned.reasons == (unlike,)


def test_the_doubt_of_an_image_is_the_mean_of_its_objects():
    half = np.where(np.arange(10) < 5, 0.5, 1.0)
    assert judge(table(confidence=half)).doubt == pytest.approx(0.5 * 0.6)
