"""No two images share the names of their results."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_unetseg.batch.output_files import ALL, ResultKind, Target, parse_results, plan_targets

OUT = Path("out")


def stems(*names, output=OUT):
    return [target.stem for target in plan_targets([Path(name) for name in names], output).values()]


def test_results_carry_the_stem():
    assert plan_targets([Path("x/a.tif")], OUT) == {Path("x/a.tif"): Target(OUT, "a")}
    assert Target(OUT, "a").path("labels.tif") == Path("out/a_labels.tif")
    assert stems("x/b.ome.tif") == ["b"]


def test_without_output_results_lie_beside_their_image():
    targets = plan_targets([Path("x/a.tif"), Path("y/a.tif")], None)
    assert list(targets.values()) == [Target(Path("x/segmented"), "a"), Target(Path("y/segmented"), "a")]


def test_clashes_are_told_apart():
    assert stems("a.tif", "a.png", "b.png") == ["a_tif", "a_png", "b"]
    assert stems("x/a.tif", "y/a.tif") == ["x_a", "y_a"]
    assert stems("a.tif", "A.tif") != ["a", "A"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # says more of the machine than of the test
@given(
    st.lists(
        st.builds(
            "{}/{}.{}".format,
            st.sampled_from(["x", "x/x", "y/x", "X"]),
            st.sampled_from(["a", "A", "a_tif", "x_a", "a.ome"]),
            st.sampled_from(["tif", "TIF", "png"]),
        ),
        unique=True,
    )
)
def test_stems_are_unique_even_where_case_does_not_count(names):
    found = [stem.casefold() for stem in stems(*names)]
    assert len(set(found)) == len(names)


def test_places_of_an_earlier_run_are_kept_and_left_to_their_images(tmp_path):
    kept = {tmp_path / "a.tif": Target(OUT, "a"), tmp_path / "gone.tif": Target(OUT, "b")}
    paths = [tmp_path / name for name in ("a.tif", "a.png", "b.tif", "c.tif")]
    stems = [target.stem for target in plan_targets(paths, OUT, kept).values()]
    assert stems == ["a", "a_png", "b_tif", "c"]


def test_a_run_that_goes_on_names_the_rest_as_it_would_have_done(tmp_path):
    paths = [tmp_path / name for name in ("x/a.tif", "y/a.tif", "y/a.png")]
    whole = plan_targets(paths, OUT)
    for path in paths:
        assert plan_targets(paths, OUT, {path: whole[path]}) == whole


def test_labels_and_table_are_always_kept():
    assert parse_results("") == (ResultKind.LABELS, ResultKind.TABLE)
    assert parse_results(" table, Overlay ") == (ResultKind.LABELS, ResultKind.TABLE, ResultKind.OVERLAY)
    assert parse_results("ome-tiff,ROIs") == (ResultKind.LABELS, ResultKind.ROIS, ResultKind.OME_TIFF, ResultKind.TABLE)
    assert parse_results("all") == ALL
    assert parse_results("ome-zarr, maps") == (ResultKind.TABLE, ResultKind.OME_ZARR, ResultKind.MAPS)
    with pytest.raises(
        ValueError,
        match=r"mask, roi: not among labels, contours, .*, overlay, ome-zarr, maps, parquet, coco, yolo, cellpose, all",
    ):
        parse_results("roi,mask,labels")
