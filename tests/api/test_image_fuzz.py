"""Two thousand bad and odd files: each gives an image or a sentence, within bounds of size and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unetseg.api.images import decode_base64
from napari_unetseg.errors import ImageError

COUNT = 2000
MOST_VALUES = 1_000_000
MOST_COMPRESSION = 1000
# All of the files hold a few MB, the largest permitted image 8 MB of float64; those that unpack to more hold 64 MB.
MEBIBYTES = 48

PROGRAM = f"""
import importlib.util, json, logging, sys
spec = importlib.util.spec_from_file_location("fuzz_corpus", sys.argv[1])
corpus = sys.modules["fuzz_corpus"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(corpus)
from napari_unetseg.api.images import ImageLimits, decode_image
from napari_unetseg.errors import ImageError
try:
    from resource import RUSAGE_SELF, getrusage
    peak = lambda: getrusage(RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)
except ImportError:
    peak = lambda: 0
logging.disable()
limits = ImageLimits({MOST_VALUES}, {MOST_COMPRESSION})
files, outcomes = corpus.odd_files({COUNT}), []
for file in corpus.healthy_files():
    decode_image(file.data, limits, media_type=None, name=file.name, axes="ZYX" if "planes" in file.name else None)
before = peak()
for file in files:
    try:
        image = decode_image(file.data, limits, media_type=file.media_type, name=file.name)
        outcomes.append((file.name, "image", int(image.array.size)))
    except ImageError as error:
        outcomes.append((file.name, "refused", str(error)))
    except BaseException as error:
        outcomes.append((file.name, "broken", repr(error)))
print(json.dumps([outcomes, peak() - before]))
"""

Outcome = tuple[str, str, int | str]


@pytest.fixture(scope="module")
def run() -> tuple[dict[str, Outcome], int]:
    """What came of each file, by its name, and by how many MiB the process grew at most."""
    corpus = Path(__file__).with_name("fuzz_corpus.py")
    line = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(corpus)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes, growth = json.loads(done.stdout)
    return {name: (name, kind, said) for name, kind, said in outcomes}, growth


@pytest.fixture
def outcomes(run: tuple[dict[str, Outcome], int]) -> dict[str, Outcome]:
    return run[0]


def test_every_file_is_an_image_or_an_image_error(outcomes: dict[str, Outcome]) -> None:
    assert [outcome for outcome in outcomes.values() if outcome[1] == "broken"] == []
    assert len(outcomes) > COUNT - 20  # names may be given twice
    kinds = [kind for _, kind, _ in outcomes.values()]
    assert kinds.count("refused") > COUNT // 2
    assert kinds.count("image") > COUNT // 10


def test_no_image_is_larger_than_the_limit(outcomes: dict[str, Outcome]) -> None:
    sizes = [int(size) for _, kind, size in outcomes.values() if kind == "image"]
    assert min(sizes) > 0
    assert max(sizes) <= MOST_VALUES


def test_memory_is_bounded(run: tuple[dict[str, Outcome], int]) -> None:
    assert run[1] < MEBIBYTES


def test_sentences_tell_nothing_of_the_machine(outcomes: dict[str, Outcome]) -> None:
    sentences = [str(said) for _, kind, said in outcomes.values() if kind == "refused"]
    telling = ("object at 0x", "BytesIO", "site-packages", "Traceback", "Error(", sys.prefix, str(Path.home()))
    assert [said for said in sentences if any(word in said for word in telling)] == []
    assert max(map(len, sentences)) < 700
    assert [said for said in sentences if "\n" in said] == []


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("0x0-8-0.png", "0x9.jpg", "8x0.bmp", "8x0.tif", "shape-0x8.npy"), "is empty"),
        (("200000x200000-8-0.png", "65500x65500.jpg", "200000x200000.bmp", "200000x200000.tif"), "million are taken"),
        (("large-stream.tif", "tile_width-65520.tif", "depth-4294967295.tif"), "million are taken"),
        (("animated.png", "animated-deep.png", "two-pictures.jpg"), "frames"),
        (("animated.gif", "a.webp", "archive.npy"), "Send a PNG, JPEG, BMP, TIFF or .npy file"),
        (("loop.tif", "loop-of-two.tif", "loop-below.tif", "loops-below.tif"), "directories form a loop"),
        (("many-directories.tif", "many-empty-directories.tif"), "more planes or tags"),
        (("count-273-4294967295.tif",), "larger than the file"),
        (("says-times.tif", "says-planes.tif", "says-first.tif"), "declares more planes"),
        (("says-entity.tif",), "no OME-XML"),
        (("objects.npy", "kind-O.npy", "fields.npy"), "never opened"),
        (("two-headers.png", "two-frames.jpg", "junk.jpg", "brackets.npy", "signs.npy"), "header is damaged"),
        (("many-scans.jpg",), "far more scans"),
        (("shared-strips.tif",), "hold more than the file"),
        (("shape-1000000x1000000.npy",), "ends before its last value"),
    ],
)
def test_the_reason_is_said(outcomes: dict[str, Outcome], names: tuple[str, ...], reason: str) -> None:
    for name in names:
        assert outcomes[name][1] == "refused"
        assert reason in str(outcomes[name][2])


def test_the_corpus_is_the_same_every_time(fuzz_corpus) -> None:
    assert fuzz_corpus.odd_files(600) == fuzz_corpus.odd_files(600)


def test_what_is_no_base64_is_refused(fuzz_corpus) -> None:
    for text in fuzz_corpus.odd_base64():
        with pytest.raises(ImageError, match=r"base64"):
            decode_base64(text)
