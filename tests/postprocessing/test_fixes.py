import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from napari_unetseg.errors import FixError
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.fixes import Fix, apply_fix
from napari_unetseg.postprocessing.numbering import number_objects
from napari_unetseg.postprocessing.parameters import DecodeParameters

PARAMETERS = DecodeParameters(threshold=0.5, min_size=20, split=0.4, min_confidence=0.6)
SHAPE = (96, 120)


def discs(*centres, shape=SHAPE, blur=1.5):
    """Draw a foreground map of discs (y, x, radius, height), blurred as a network's is."""
    rows, columns = np.indices(shape)
    foreground = np.zeros(shape, np.float32)
    for y, x, radius, height in centres:
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        foreground = np.maximum(foreground, np.where(inside, height, 0)).astype(np.float32)
    return ndimage.gaussian_filter(foreground, blur)[None]


BRIGHT, NEIGHBOUR, FAINT = (30, 30, 10, 0.95), (30, 80, 10, 0.95), (70, 50, 10, 0.3)
MAP = discs(BRIGHT, NEIGHBOUR, FAINT)
LABELS = decode(MAP, ("foreground",), PARAMETERS)


def fixed(kind, *points, labels=LABELS, probability=MAP, heads=("foreground",), parameters=PARAMETERS):
    """Return the labels after a fix, and its patch."""
    patch = apply_fix(Fix(kind=kind, points=points, parameters=parameters), labels, probability, heads)
    after = labels.copy()
    patch.put_into(after)
    return after, patch


def overlap(one, other):
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def disc(y, x, radius, shape=SHAPE):
    rows, columns = np.indices(shape)
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def is_one_piece(mask):
    return ndimage.label(mask)[1] == 1


def test_a_click_on_a_faint_object_adds_it_as_it_is_wherever_it_falls():
    assert LABELS.max() == 2
    for point in [(70, 50), (66, 45), (75, 54)]:
        after, patch = fixed("add", point)
        assert patch.objects == (3,)
        assert overlap(after == 3, disc(70, 50, 10)) > 0.8
        np.testing.assert_array_equal(np.where(after == 3, 0, after), LABELS)


def test_a_faint_object_with_a_patchy_map_is_added_whole():
    rng = np.random.default_rng(0)
    patchy = MAP.copy()
    patchy[0, 55:85, 35:65] *= rng.uniform(0.2, 1.8, (30, 30)) ** 2
    after, _ = fixed("add", (70, 50), probability=patchy)
    assert overlap(after == 3, disc(70, 50, 10)) > 0.7


def test_what_the_decoder_dropped_is_added_as_the_decoder_saw_it():
    unsure = discs(BRIGHT, (70, 50, 10, 0.58))
    strict = PARAMETERS.override({"min_confidence": 0.8})
    labels = decode(unsure, ("foreground",), strict)
    assert labels.max() == 1
    after, _ = fixed("add", (70, 50), labels=labels, probability=unsure, parameters=strict)
    lenient = decode(unsure, ("foreground",), strict.override({"min_confidence": 0.0}))
    np.testing.assert_array_equal(after, lenient)


def test_an_object_that_leans_on_another_is_added_without_a_pixel_of_that():
    leaning = discs((40, 40, 12, 0.95), (40, 62, 10, 0.35))
    labels = decode(leaning, ("foreground",), PARAMETERS)
    after, _ = fixed("add", (40, 63), labels=labels, probability=leaning)
    np.testing.assert_array_equal(after[labels > 0], labels[labels > 0])
    assert overlap(after == 2, disc(40, 62, 10) & (labels == 0)) > 0.55


def test_a_large_faint_object_is_added_whole_beyond_the_first_look():
    large = discs((300, 300, 180, 0.3), shape=(600, 600), blur=4)
    labels = np.zeros((600, 600), np.int32)
    after, _ = fixed("add", (300, 300), labels=labels, probability=large)
    assert overlap(after == 1, disc(300, 300, 180, (600, 600))) > 0.85


def test_what_the_network_does_not_see_is_not_added():
    with pytest.raises(FixError, match="no object here"):
        fixed("add", (90, 110))


def test_a_pixel_without_a_value_is_background():
    unknown = MAP.copy()
    unknown[0, 50:, :] = np.nan
    with pytest.raises(FixError, match="no object here"):
        fixed("add", (70, 50), probability=unknown)
    assert fixed("add", (30, 30), labels=np.zeros_like(LABELS), probability=unknown)[0].max() == 1


@pytest.mark.parametrize(
    ("kind", "points", "message"),
    [
        ("add", [(30, 30)], "already"),
        ("add", [(-3, 30)], "outside the image"),
        ("remove", [(70, 50)], "no object here"),
        ("remove", [(30, 500)], "outside the image"),
        ("grow", [(70, 50)], "no object here"),
        ("shrink", [(70, 50)], "no object here"),
        ("split", [(60, 10), (60, 100)], "passes over no object"),
        ("split", [(-90, -10), (-60, -10)], "passes over no object"),
        ("split", [(30, 30)], "does not divide"),
        ("merge", [(30, 30), (30, 50)], "begin on one object"),
    ],
)
def test_where_there_is_nothing_to_do_it_says_why(kind, points, message):
    with pytest.raises(FixError, match=message):
        fixed(kind, *points)


def test_a_stack_is_not_fixed():
    with pytest.raises(FixError, match="stack"):
        fixed("remove", (30, 30), labels=LABELS[None], probability=MAP[:, None])


def test_a_fix_without_a_point_or_with_an_impossible_one_is_none():
    for points in ([], [(np.nan, 2.0)], [(1.0, np.inf)], [(1.0,)]):
        with pytest.raises(ValidationError):
            Fix(kind="add", points=points, parameters=PARAMETERS)


def test_a_fix_is_plain_values_and_back():
    fix = Fix(kind="split", points=[(1, 2), (3.5, 4)], parameters=PARAMETERS)
    assert Fix.model_validate(fix.model_dump(mode="json")) == fix


def test_a_click_removes_an_object_all_of_it_and_only_it():
    torn = LABELS.copy()
    torn[80:83, 100:103] = 2
    after, patch = fixed("remove", (30, 80), labels=torn)
    assert patch.objects == (2,)
    np.testing.assert_array_equal(after, np.where(torn == 2, 0, torn))


def two_that_touch():
    """Draw two touching objects that the decoder takes for one."""
    probability = discs((40, 40, 12, 0.95), (40, 60, 12, 0.95))
    parameters = PARAMETERS.override({"split": 0.0})
    labels = decode(probability, ("foreground",), parameters)
    assert labels.max() == 1
    return labels, probability, parameters


def test_a_line_across_an_object_divides_it_there():
    labels, probability, parameters = two_that_touch()
    after, _ = fixed("split", (20, 45), (60, 45), labels=labels, probability=probability, parameters=parameters)
    assert set(np.unique(after)) == {0, 1, 2}
    np.testing.assert_array_equal(after > 0, labels > 0)
    assert np.flatnonzero((after == 2).any(axis=0)).max() in (44, 45)
    assert np.flatnonzero((after == 1).any(axis=0)).min() in (45, 46)


def test_a_line_within_an_object_divides_it_where_the_map_is_low():
    labels, probability, parameters = two_that_touch()
    after, _ = fixed("split", (37, 50.5), (43, 50.5), labels=labels, probability=probability, parameters=parameters)
    np.testing.assert_array_equal(after > 0, labels > 0)
    for part in (1, 2):
        assert is_one_piece(after == part)
        columns = np.flatnonzero((after == part).any(axis=0))
        assert columns.max() <= 52 or columns.min() >= 49


def test_crumbs_at_a_crooked_line_stay_with_the_larger_parts():
    labels, probability, parameters = two_that_touch()
    line = [(20, 50), (30, 51), (31, 50), (32, 52), (33, 50), (60, 50)]
    after, _ = fixed("split", *line, labels=labels, probability=probability, parameters=parameters)
    assert after.max() == 2
    assert is_one_piece(after == 1)
    assert is_one_piece(after == 2)


def test_a_line_over_two_objects_divides_the_one_that_it_covers_most():
    after, patch = fixed("split", (30, 15), (30, 75))
    assert 2 not in patch.objects
    np.testing.assert_array_equal(after == 2, LABELS == 2)


def test_a_drag_over_two_objects_joins_them_with_the_gap_between():
    near = discs((40, 40, 10, 0.95), (40, 63, 10, 0.95), blur=1)
    near[0, 36:45, 48:56] = 0.4
    labels = decode(near, ("foreground",), PARAMETERS)
    assert labels.max() == 2
    after, patch = fixed("merge", (40, 40), (40, 63), labels=labels, probability=near)
    assert patch.objects == (1, 2)
    assert set(np.unique(after)) == {0, 1}
    assert is_one_piece(after == 1)
    assert (after[40, 40:64] == 1).all()
    assert (after[labels > 0] == 1).all()
    assert np.count_nonzero((after > 0) & (labels == 0)) < 9 * 9


def test_objects_that_the_map_does_not_connect_are_joined_by_a_bridge():
    after, _ = fixed("merge", (30, 30), (30, 80))
    assert is_one_piece(after == 1)
    assert (after[30, 30:81] == 1).all()


def test_objects_are_not_joined_across_another_one():
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:15], labels[:, 25:30], labels[5:35, 40:50] = 1, 2, 3
    flat = np.full((1, 40, 60), 0.9, np.float32)
    arch = [(-5, 10), (-5, 45)]
    with pytest.raises(FixError):
        fixed("merge", (20, 10), *arch, (20, 45), labels=labels, probability=flat)
    after, _ = fixed("merge", (20, 10), (20, 45), labels=labels, probability=flat)
    assert is_one_piece(after == 1)
    assert set(np.unique(after)) == {0, 1}


def test_growing_goes_down_the_map_and_shrinking_up_step_by_step():
    labels, sizes = LABELS, [np.count_nonzero(LABELS == 1)]
    for kind in ("grow", "grow", "shrink", "shrink", "shrink"):
        labels, patch = fixed(kind, (30, 30), labels=labels)
        assert patch.objects == (1,)
        assert is_one_piece(labels == 1)
        sizes.append(np.count_nonzero(labels == 1))
    assert sizes[0] < sizes[1] < sizes[2] > sizes[3] > sizes[4] > sizes[5]
    assert overlap(labels == 1, disc(30, 30, 10)) > 0.7


def test_growing_stops_at_other_objects_and_when_there_is_no_room():
    labels = np.zeros((12, 12), np.int32)
    labels[:, :6], labels[:, 6:] = 1, 2
    flat = np.full((1, 12, 12), 0.9, np.float32)
    with pytest.raises(FixError, match="no room"):
        fixed("grow", (5, 2), labels=labels, probability=flat)


def test_an_object_does_not_shrink_to_nothing():
    speck = np.zeros_like(LABELS)
    speck[30, 28:33] = 1
    with pytest.raises(FixError, match="Remove it"):
        fixed("shrink", (30, 30), labels=speck)


@st.composite
def scenes(draw):
    """Draw maps of discs, with or without a second head, and their labels with numbers in any order."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(1, 8))
    centres = [(*rng.uniform(0, SHAPE), rng.uniform(4, 14), rng.uniform(0.15, 1)) for _ in range(count)]
    maps = discs(*centres, blur=draw(st.sampled_from([0.7, 1.5, 3.0])))
    maps = np.clip(maps + rng.normal(0, draw(st.sampled_from([0, 0.02, 0.1])), maps.shape), 0, 1).astype(np.float32)
    heads = ("foreground",)
    if draw(st.booleans()):
        heads = ("foreground", draw(st.sampled_from(["boundary", "distance"])))
        other = ndimage.distance_transform_edt(maps[0] > 0.5) / 14 if heads[1] == "distance" else 1 - maps[0]
        maps = np.stack([maps[0], np.clip(other, 0, 1)]).astype(np.float32)
    labels = decode(maps, heads, PARAMETERS)
    numbers = np.append(0, rng.permutation(3 * (labels.max() + 1))[: labels.max()] + 1).astype(np.int32)
    return numbers[labels], maps, heads, rng


def same_objects(one, other):
    return np.array_equal(number_objects(one.astype(np.int32), 0), number_objects(other.astype(np.int32), 0))


@given(scene=scenes(), kind=st.sampled_from(["add", "remove", "split", "merge", "grow", "shrink"]))
@settings(deadline=None, max_examples=100)
def test_whatever_is_fixed_others_stay_and_objects_are_in_one_piece(scene, kind):
    labels, maps, heads, rng = scene
    points = [tuple(map(float, point)) for point in rng.uniform(-3, np.array(SHAPE) + 3, (rng.integers(2, 5), 2))]
    inside = np.argwhere(labels if kind != "add" else labels == 0)
    if len(inside):
        points[0] = tuple(map(float, rng.choice(inside)))
        points[-1] = tuple(map(float, rng.choice(inside)))
    before = labels.copy()
    try:
        after, patch = fixed(kind, *points, labels=labels, probability=maps, heads=heads)
    except FixError:
        after, patch = labels, None
    np.testing.assert_array_equal(labels, before)
    assume(patch is not None)
    changed = before != after
    assert changed.any()
    outside = np.ones(SHAPE, bool)
    outside[patch.rows, patch.columns] = False
    assert not changed[outside].any()
    assert set(patch.objects) == (set(before[changed]) | set(after[changed])) - {0}
    for label in set(before[before > 0]) - set(patch.objects):
        np.testing.assert_array_equal(before == label, after == label)
    for label in patch.objects:
        assert ndimage.label(after == label)[1] <= 1
    if kind in ("split", "shrink", "remove"):
        assert not (after[before == 0]).any()
    if kind in ("add", "merge", "grow"):
        assert (after[before > 0] > 0).all()
    numbers = number_objects(before, 0)
    again, _ = fixed(kind, *points, labels=numbers, probability=maps, heads=heads)
    assert same_objects(again, after)


def path_through(labels, numbers):
    """Draw a line from part to part of what was one object, over none but these."""
    inside = np.isin(labels, numbers)
    left = set(numbers)
    start = tuple(np.argwhere(labels == numbers[0])[0])
    came_from, queue = {start: None}, [start]
    line = []
    for pixel in queue:
        if labels[pixel] in left:
            left.remove(labels[pixel])
            back, step = [], pixel
            while step is not None:
                back.append(step)
                step = came_from[step]
            line += [*reversed(back), *back]
        for row, column in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            near = (pixel[0] + row, pixel[1] + column)
            within = 0 <= near[0] < labels.shape[0] and 0 <= near[1] < labels.shape[1]
            if within and inside[near] and near not in came_from:
                came_from[near] = pixel
                queue.append(near)
    return [(float(y), float(x)) for y, x in line]


@given(scene=scenes())
@settings(deadline=None, max_examples=40)
def test_merging_gives_back_what_was_divided_and_removing_takes_away_what_was_added(scene):
    labels, maps, heads, rng = scene
    objects, background = np.argwhere(labels), np.argwhere(labels == 0)
    context = {"probability": maps, "heads": heads}
    if len(objects):
        line = [tuple(map(float, point)) for point in rng.uniform(0, SHAPE, (2, 2))]
        line[1] = tuple(map(float, rng.choice(objects)))
        try:
            divided, patch = fixed("split", *line, labels=labels, **context)
        except FixError:
            divided = labels
        else:
            joined, _ = fixed("merge", *path_through(divided, patch.objects), labels=divided, **context)
            np.testing.assert_array_equal(joined, labels)
    if len(background):
        point = tuple(map(float, rng.choice(background)))
        try:
            more, _ = fixed("add", point, labels=labels, **context)
        except FixError:
            return
        np.testing.assert_array_equal(fixed("remove", point, labels=more, **context)[0], labels)
