"""The pictures of the page "Gallery": its Python blocks and commands are run as they stand there."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QRect
from stage import Stage

_STEP = re.compile(
    r"```python\n(.*?)```|^    (napari-unetseg .*?)$|\(images/gallery-(\w+)\.webp\)", re.DOTALL | re.MULTILINE
)
_SIDE = 440
_WIDE = ("spheroids", "hand")
_SEVERAL = ("channels",)
_GAP = 8


def gallery(folder: Path) -> None:
    """Do what the page says, in its order, and take each picture where the page has it."""
    shutil.copytree(folder / "examples", ".", dirs_exist_ok=True)
    page = (folder.parent / "gallery.md").read_text(encoding="utf-8")
    for code, command, name in _STEP.findall(page):
        if code:
            _python("-c", code)
        elif command:
            _python("-m", "napari_unetseg", *shlex.split(command)[1:])
        else:
            picture = _OWN[name]() if name in _OWN else _pair(name)
            picture.save(folder / f"gallery-{name}.webp", quality=86, method=6)


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True)  # noqa: S603


def _pair(name: str) -> Image.Image:
    """Put the channels of an image, or their middle, beside the picture with outlines that the command made of it."""
    after = Image.open(Path("segmented") / f"{name}_overlay.png").convert("RGB")
    tiff = Path(f"{name}.tif")
    pixels = tifffile.imread(tiff) if tiff.exists() else np.asarray(Image.open(f"{name}.png"))
    channels = pixels if name in _SEVERAL else [pixels]
    before = [Image.fromarray(_as_bytes(channel)).convert("RGB") for channel in channels]
    side = 400 if name in _WIDE else 256
    left, top = (after.width - side) // 2, (after.height - side) // 2
    box = (left, top, left + side, top + side)
    return _beside(*(part.crop(box).resize((512, 512), Image.Resampling.NEAREST) for part in (*before, after)))


def _as_bytes(pixels: NDArray[np.number]) -> NDArray[np.uint8]:
    low, high = np.percentile(pixels, (0.5, 99.8))
    bright: NDArray[np.float64] = (pixels - low) / (high - low)
    return (255 * bright.clip(0, 1)).astype(np.uint8)


def _beside(*parts: Image.Image) -> Image.Image:
    width = sum(part.width for part in parts) + _GAP * (len(parts) - 1)
    sheet = Image.new("RGB", (width, parts[0].height), "white")
    left = 0
    for part in parts:
        sheet.paste(part, (left, 0))
        left += part.width + _GAP
    return sheet


def _canvas(draw: Callable[[napari.Viewer], None]) -> Image.Image:
    """Return a square of napari's canvas after something was drawn in it."""
    stage = Stage((900, 700), panel=False, layer_docks=False)
    draw(stage.viewer)
    stage.settle(1)
    canvas = stage.area_of(stage.canvas, margin=0)
    side = min(canvas.width(), canvas.height())
    picture = stage.picture(QRect(canvas.center().x() - side // 2, canvas.center().y() - side // 2, side, side))
    stage.close()
    return picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _stack() -> Image.Image:
    image, labels = tifffile.imread("stack.tif"), tifffile.imread("segmented/stack_labels.tif")

    def plane(viewer: napari.Viewer) -> None:
        viewer.add_image(image[len(image) // 2])
        viewer.reset_view(margin=0)

    def space(viewer: napari.Viewer) -> None:
        viewer.add_labels(labels, scale=(2, 1, 1), opacity=1)
        viewer.dims.ndisplay = 3
        viewer.reset_view(margin=0)
        viewer.camera.angles = (10, 30, 145)
        viewer.camera.zoom *= 1.15

    return _beside(_canvas(plane), _canvas(space))


def _series() -> Image.Image:
    image, labels = tifffile.imread("series.tif"), tifffile.imread("segmented/series_labels.tif")

    def at(point: int) -> Callable[[napari.Viewer], None]:
        def draw(viewer: napari.Viewer) -> None:
            viewer.add_image(image[point])
            viewer.add_labels(labels[point])
            viewer.reset_view(margin=0)

        return draw

    return _beside(*(_canvas(at(point)) for point in (0, 2, 5)))


def _slide() -> Image.Image:
    image = np.asarray(zarr.open_array("slide.ome.zarr/0", mode="r"))
    labels = np.asarray(zarr.open_array("slide.ome.zarr/labels/nuclei/0", mode="r"))

    def draw(viewer: napari.Viewer, *, found: bool = False, close: bool = False) -> None:
        viewer.add_image(image)
        if found:
            viewer.add_labels(labels)
        viewer.reset_view(margin=0)
        viewer.camera.zoom *= 5 if close else 1

    return _beside(
        _canvas(draw),
        _canvas(lambda viewer: draw(viewer, found=True)),
        _canvas(lambda viewer: draw(viewer, found=True, close=True)),
    )


def _plate() -> Image.Image:
    stage = Stage((1000, 800))
    dialog = stage.form.plates.open(Path("plate.ome.zarr"))
    dialog.move(20, 20)
    dialog.resize(900, 430)
    stage.wait(lambda: dialog.facts is not None)
    dialog.view.colours.setCurrentIndex(dialog.view.colours.findData("objects"))
    stage.settle(1)
    picture = stage.picture(QRect(dialog.geometry()))
    dialog.close()
    stage.close()
    return picture


_OWN: dict[str, Callable[[], Image.Image]] = {"stack": _stack, "series": _series, "slide": _slide, "plate": _plate}
"""Those that are no image beside its outlines."""
