"""The file that Cellpose's window keeps beside an image, ``<image>_seg.npy``."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.exchange.labelled_image import LabelledImage
from napari_unetseg.io.exchange.plain_pickle import load_object_array
from napari_unetseg.io.ome_tiff import label_type
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

ENDING = "_seg.npy"
MAX_BYTES = 2**32


def write_seg(path: str | Path, labels: NDArray[np.integer[Any]], image: str | Path) -> None:
    """Write a label image as Cellpose's window opens it, with its objects and their outlines.

    Parameters
    ----------
    path
        File to write, named ``<image>_seg.npy``; beside the image Cellpose finds it by itself.
    labels
        (Y, X), no negative values; 0 is background.
    image
        Of which the labels are: Cellpose looks for it here, and then beside the file.

    Raises
    ------
    ValueError
        If a label is negative or above 4294967295.
    UnetsegError
        If the file cannot be written.
    """
    masks = labels.astype(label_type(labels), copy=False)
    content = {
        "masks": masks,
        "outlines": np.where(_on_outline(masks), masks, 0).astype(masks.dtype),
        "filename": printable(str(image)),
        "chan_choose": [0, 0],
        "ismanual": np.zeros(int(masks.max(initial=0)), bool),
        "diameter": float("nan"),
    }
    with whole_file(Path(path)) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(content, dtype=object), allow_pickle=True)


def read_seg(path: str | Path) -> LabelledImage:
    """Read the label image of a file of Cellpose's window; nothing in it is run.

    Raises
    ------
    UnetsegError
        If it is no such file, asks for more than arrays and plain values, or is of a stack.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MB")
        with path.open("rb") as file:
            content = load_object_array(file)
        labels = _labels(content["masks"])
        name = content.get("filename")
    except (OSError, EOFError, KeyError, AttributeError, IndexError, pickle.UnpicklingError) as error:
        raise _not_seg(path, error) from error
    except (ValueError, TypeError, ImportError) as error:
        raise _not_seg(path, error) from error
    known = Path(name.replace("\\", "/")).name if isinstance(name, str) else ""
    return LabelledImage(known or path.name.removesuffix(ENDING), labels)


def _labels(masks: Any) -> NDArray[np.integer]:
    if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "iu":
        raise ValueError("its masks are no label image")
    plane = masks[0] if masks.ndim == 3 and len(masks) == 1 else masks
    if plane.ndim != 2:
        raise ValueError("its masks are of a stack, of which only single planes are read")
    # Early versions counted from 0, and wrote -1 for the background.
    low, high = int(plane.min(initial=0)), int(plane.max(initial=0))
    if low < -1 or high > np.iinfo(np.uint32).max:
        raise ValueError(f"its masks run from {low} to {high}")
    return plane + 1 if low == -1 else plane


def _on_outline(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which pixels have a neighbour, above, below or beside, that is not of their object."""
    framed = np.pad(labels, 1)
    middle = framed[1:-1, 1:-1]
    sides = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    found: NDArray[np.bool_] = np.logical_or.reduce([middle != side for side in sides])
    return found


def _not_seg(path: Path, error: Exception) -> UnetsegError:
    return UnetsegError(
        Sentence(
            "{path}: cannot be read as a file of Cellpose ({reason}). Save the masks again in Cellpose, as PNG or "
            "TIFF if need be.",
            path=path,
            reason=error,
        )
    )
