import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.table import write_table
from napari_unetseg.samples import SAMPLES
from napari_unetseg.service import SegmentationService
from napari_unetseg.service.block_segmentation import remove_job


class Labels:
    """A `LabelTarget` in memory."""

    def __init__(self, *shape):
        self.array = np.zeros(shape, np.int32)

    def write_block(self, plane, block, labels):
        self.array[*plane, *block] = labels

    def read(self, plane, region):
        return self.array[*plane, *region].copy()


@pytest.fixture(scope="module")
def service(bright_model):
    with SegmentationService(bright_model) as service:
        yield service


def squares(*shape, step=24, side=12):
    """Squares of different sizes on black, so that each is known by its own."""
    image = np.zeros(shape, np.uint8)
    for number, corner in enumerate(np.ndindex(shape[0] // step, shape[1] // step)):
        y, x = (place * step + 3 for place in corner)
        image[y : y + side + number % 5, x : x + side - number % 3] = 200
    return image


@pytest.fixture
def image():
    return Image(squares(150, 130), name="squares", scale=(0.5, 0.5), unit="micrometer")


class Unread:
    """An array that is not in memory and counts the pixels of each read."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype, self.ndim, self.size = array.shape, array.dtype, array.ndim, array.size
        self.chunks = (16,) * array.ndim
        self.reads = []

    def __getitem__(self, box):
        pixels = self._array[box]
        self.reads.append(pixels.size)
        return pixels


def test_channels_are_chosen_as_of_the_undivided_image(service, image, tmp_path):
    stains = Unread(np.stack([image.array // 2, np.full_like(image.array, 255), image.array[::-1]]))
    stained = Image(stains, "CYX", name="stains", channels=("DAPI", "BF", "GFP"))
    expected, labels = service.segment(stained, channels="max(DAPI,GFP)"), Labels(*image.shape)
    result = service.segment_blocks(stained, tmp_path / "job", labels, channels="max(DAPI,GFP)")
    assert result.provenance.channels == expected.provenance.channels == "max(DAPI,GFP)"
    np.testing.assert_array_equal(labels.array, expected.labels)
    assert result.count == expected.count > 0
    with pytest.raises(UnetsegError, match="0: DAPI, 1: BF, 2: GFP"):
        service.segment_blocks(stained, tmp_path / "other", labels, channels="Cy5")


def test_the_result_is_that_of_the_undivided_image(service, image, tmp_path):
    expected, labels = service.segment(image, split=0.3), Labels(*image.shape)
    result = service.segment_blocks(image, tmp_path / "job", labels, split=0.3)
    timed = {"started": None, "seconds": None, "request_id": None}
    assert asdict(result.provenance) | timed == asdict(expected.provenance) | timed
    assert result.warnings == expected.warnings
    assert result.parameters == expected.parameters
    assert result.fit == expected.fit
    assert result.count == expected.count > 20
    np.testing.assert_array_equal(labels.array, expected.labels)
    assert (result.overall_mean, result.mask_mean) == (
        expected.confidence.overall_mean,
        expected.confidence.mask_mean,
    )
    write_table(tmp_path / "expected.csv", expected.measurements)
    assert result.table.read_text() == (tmp_path / "expected.csv").read_text()
    np.testing.assert_array_equal(result.maps(())["foreground"], expected.foreground)
    assert result.seconds >= result.provenance.seconds > 0


def test_what_is_not_in_memory_is_read_where_it_is_needed(bright_model, settings, tmp_path):
    array = Unread(squares(300, 260))
    with SegmentationService(bright_model, settings=settings(inference__window=80)) as service:
        result = service.segment_blocks(Image(array, "YX"), tmp_path / "job", Labels(300, 260))
    assert result.provenance.tiles > 8
    # For its percentiles, which are those of pieces that are larger than this image.
    assert array.reads.count(array.size) == 1


def test_a_cancelled_run_goes_on_where_it_was(service, image, tmp_path):
    folder, done = tmp_path / "job", []

    def progress(now):
        done.append(now)

    with pytest.raises(Cancelled):
        service.segment_blocks(image, folder, Labels(*image.shape), progress=progress, cancel=lambda: len(done) > 3)
    before = [now.finished for now in done if now.finished is not None]
    assert before
    done.clear()
    result = service.segment_blocks(image, folder, Labels(*image.shape), progress=done.append)
    assert done[-1].done == pytest.approx(done[-1].total)
    stages = {now.stage for now in done if now.finished is not None}
    assert "ranges" not in stages
    assert result.folder == folder


def test_two_runs_do_not_share_a_folder(service, image, tmp_path):
    refused = []

    def again(_):
        if not refused:
            with pytest.raises(UnetsegError, match="another run works on these labels") as failure:
                service.segment_blocks(image, tmp_path / "job", Labels(*image.shape))
            refused.append(failure)

    service.segment_blocks(image, tmp_path / "job", Labels(*image.shape), progress=again)
    assert refused


@pytest.mark.parametrize(
    ("change", "what"),
    [({"threshold": 0.7}, "options"), ({"pixels": True}, "image"), ({"scale": (0.2, 0.2)}, "image")],
)
def test_blocks_of_something_else_are_not_gone_on_with(service, image, tmp_path, change, what):
    folder = tmp_path / "job"
    service.segment_blocks(image, folder, Labels(*image.shape))
    if change.pop("pixels", False):
        image.array[75, 65] += 1
    if "scale" in change:
        image = replace(image, scale=change.pop("scale"))
    with pytest.raises(UnetsegError, match=rf"holds the blocks of another run \({what} differ\)"):
        service.segment_blocks(image, folder, Labels(*image.shape), **change)
    remove_job(folder)
    service.segment_blocks(image, folder, Labels(*image.shape), **change)


def test_the_folder_is_removed_once_all_is_concluded(service, image, tmp_path):
    folder, concluded = tmp_path / "job", []

    def fail(result):
        raise UnetsegError("The labels' metadata cannot be written.")

    with pytest.raises(UnetsegError, match="metadata"):
        service.segment_blocks(image, folder, Labels(*image.shape), conclude=fail)
    assert folder.exists()
    result = service.segment_blocks(
        image, folder, Labels(*image.shape), conclude=lambda one: concluded.append((one.folder.exists(), one))
    )
    assert concluded == [(True, result)]
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_a_removed_folder_belongs_to_no_job(service, image, tmp_path, monkeypatch):
    folder, labels = tmp_path / "job", Labels(*image.shape)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refuse)
        with pytest.raises(UnetsegError, match="remove it by hand"):
            service.segment_blocks(image, folder, labels, conclude=lambda _: None)
    assert any(folder.iterdir())
    expected = service.segment(image, min_size=170)
    service.segment_blocks(image, folder, labels, conclude=lambda _: None, min_size=170)
    np.testing.assert_array_equal(labels.array, expected.labels)
    assert 0 < expected.count < service.segment(image).count
    assert not folder.exists()


def test_a_folder_of_something_else_is_left_alone(service, image, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years")
    with pytest.raises(UnetsegError, match="there is something else already"):
        service.segment_blocks(image, folder, Labels(*image.shape), conclude=lambda _: None)
    with pytest.raises(UnetsegError, match="there is something else already"):
        remove_job(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("smoothing", "bytes_a_pixel"), [(0, 12), (2, 16)])
def test_a_disk_without_room_is_told_before_the_network_runs(
    service, image, tmp_path, monkeypatch, smoothing, bytes_a_pixel
):
    usage, needed = shutil.disk_usage(tmp_path), bytes_a_pixel * image.array.size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(UnetsegError, match=r"squares takes 0\.0 GB until the labels are done"):
        service.segment_blocks(image, tmp_path / "job", Labels(*image.shape), smoothing=smoothing)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    service.segment_blocks(image, tmp_path / "job", Labels(*image.shape), smoothing=smoothing)


def test_labels_that_were_made_anew_are_written_again(service, image, tmp_path):
    first, second = Labels(*image.shape), Labels(*image.shape)
    service.segment_blocks(image, tmp_path / "job", first)
    service.segment_blocks(image, tmp_path / "job", second)
    assert first.array.any()
    np.testing.assert_array_equal(second.array, first.array)


def test_warnings_are_those_of_the_undivided_stack_in_their_order(tmp_path):
    planes = np.stack([np.asarray(SAMPLES["nuclei"]().array)[:360:3, :330:3].astype(np.float32)] * 2)
    planes[0, 3, 4:6] = planes[1, 7, 8] = np.nan
    image = Image(planes, "TYX", name="small")
    with SegmentationService("nuclei") as service:
        expected = service.segment(image)
        result = service.segment_blocks(image, tmp_path / "job", Labels(*image.array.shape))
    assert result.warnings == expected.warnings
    assert "rescaled" in result.warnings[0]


@pytest.mark.parametrize(("options", "said"), [({"threshold": 3}, "threshold"), ({"channel": 4}, "channel 4")])
def test_what_cannot_be_done_leaves_no_folder(service, image, tmp_path, options, said):
    with pytest.raises(UnetsegError, match=said):
        service.segment_blocks(image, tmp_path / "job", Labels(*image.shape), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", [False, True])
def test_a_stack_is_that_of_undivided_planes(service, tmp_path, link):
    planes = np.stack([np.roll(squares(100, 120), 4 * shift, axis=0) for shift in range(3)])
    image = Image(planes, "ZYX", steps={"Z": (2.0, "micrometer")}, scale=(0.5, 0.5), unit="micrometer")
    expected, labels = service.segment(image, link=link, min_confidence=0.3), Labels(3, 100, 120)
    result = service.segment_blocks(image, tmp_path / "job", labels, link=link, min_confidence=0.3)
    np.testing.assert_array_equal(labels.array, expected.labels)
    assert result.count == expected.count
    assert result.provenance.link == link
    write_table(tmp_path / "expected.csv", expected.measurements)
    assert result.table.read_text() == (tmp_path / "expected.csv").read_text()


def test_final_labels_are_told_after_those_of_each_block_alone(service, image, tmp_path):
    labels, told = Labels(*image.shape), []
    service.segment_blocks(image, tmp_path / "job", labels, on_block=lambda *block: told.append(block))
    (plane, block, early), (_, _, final) = told
    assert (plane, block) == ((), (slice(0, 150), slice(0, 130)))
    np.testing.assert_array_equal(final, labels.array)
    np.testing.assert_array_equal(early > 0, final > 0)


def test_a_damaged_file_of_a_job_is_named_with_what_to_do(service, tmp_path):
    image, folder = Image(np.stack([squares(60, 70)] * 2), "ZYX"), tmp_path / "job"
    service.segment_blocks(image, folder, Labels(2, 60, 70), link=True, smoothing=1)
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    told = 0
    for number, file in enumerate(files):
        again = tmp_path / f"{number}"
        shutil.copytree(folder, again)
        for later in files[number + 1 :]:
            (again / later.relative_to(folder)).unlink()
        path = again / file.relative_to(folder)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if number % 2 else b"")
        labels = Labels(2, 60, 70)
        said = ""
        try:
            service.segment_blocks(image, again, labels, link=True, smoothing=1)
        except UnetsegError as error:
            said = str(error)
            path.unlink()
        if said:
            assert said.startswith(f"{path}: is damaged")
            told += 1
            if path.name != "job.json":
                service.segment_blocks(image, again, labels, link=True, smoothing=1)
    assert told > 5
