"""Measurements that belong to the objects of a layer as they are now, whatever was edited since they were made.

What comes from the pixels of a layer alone is measured again. What comes from elsewhere, such as the image or the
network, stays where the object is as it was, and is left out where it is not: a wrong number is worse than none.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_unetseg.layer_style import OUTLINES_KEY
from napari_unetseg.plugin.layers.napari_types import LayerArray, LayerMeta
from napari_unetseg.postprocessing.layer_data import outline_sums
from napari_unetseg.postprocessing.measurements import Table, measure
from napari_unetseg.postprocessing.stacks import stack_tables

_FROM_ELSEWHERE: Final = ("mean_intensity", "confidence", "agreement")
_COUNTED: Final = ("area_px", "bbox_min_y_px", "bbox_min_x_px", "bbox_max_y_px", "bbox_max_x_px")


def measure_planes(
    planes: LayerArray,
    letters: str,
    start: Sequence[int],
    *,
    images: Mapping[tuple[int, ...], LayerArray] | None = None,
    scale: tuple[float, float] | None,
    unit: str | None,
    origin: tuple[int, int],
) -> pd.DataFrame:
    """Measure the objects of every plane, as `measure` does.

    Parameters
    ----------
    planes
        (..., Y, X) integers.
    letters, start
        For each axis before Y its letter, and where along it the first plane lies.
    images
        (C, Y, X) pixels by the index of their plane; None: without intensities.
    scale, unit, origin
        As of `measure`.
    """
    tables: dict[tuple[int, ...], Table] = {}
    for index in np.ndindex(planes.shape[:-2]):
        own = np.asarray(planes[index])
        intensity = np.zeros((0, *own.shape)) if images is None else images[index]
        place = tuple(int(i + first) for i, first in zip(index, start, strict=True))
        tables[place] = measure(own, foreground=None, intensity=intensity, scale=scale, unit=unit, origin=origin)
    return pd.DataFrame(dict(tables[()] if not letters else stack_tables(tables, letters)))


def current_rows(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Bring the table of a Labels layer in line with its pixels: a row for each object there is, in each plane.

    Parameters
    ----------
    before
        Features of the layer with a column ``label``.
    now
        What `measure_planes` says of its pixels.

    Returns
    -------
    DataFrame
        With the columns of `before`. A table that measures nothing as this plugin does is returned as it is.
    """
    shared = [name for name in before.columns if name in now.columns]
    if not {"label", "area_px"} <= set(shared):
        return before
    places = [name for name in ("t", "z", "c") if name in now.columns]
    keys = ["label", *(name for name in places if name in shared)]
    if now.duplicated(keys).any():
        # Which of the rows before is of which plane is not known.
        return now[["label", *places, *(name for name in shared if name not in ("label", *places))]]
    old = before.drop_duplicates(keys).set_index(keys)
    found = old.reindex(pd.MultiIndex.from_frame(now[keys]) if len(keys) > 1 else pd.Index(now["label"], name="label"))
    same = _are_equal(found.reset_index(drop=True), now.reset_index(drop=True))
    made: dict[str, Any] = {}
    for name in before.columns:
        if name in shared:
            made[name] = now[name].to_numpy()
            continue
        values = found[name].reset_index(drop=True)
        made[name] = (values.where(same) if str(name).startswith(_FROM_ELSEWHERE) else values).to_numpy()
    return pd.DataFrame(made)


def _are_equal(before: pd.DataFrame, now: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which objects are where they were, with the shape they had; a table from a file has rounded numbers."""
    same = np.ones(len(now), bool)
    for name in now.columns:
        if name not in before.columns or not (name.endswith("_px") or name in ("eccentricity", "solidity")):
            continue
        old, new = before[name].to_numpy(np.float64), now[name].to_numpy(np.float64)
        same &= (old == new) if name in _COUNTED else np.isclose(old, new, rtol=1e-5, atol=1e-6, equal_nan=True)
    return same


def current_columns(
    rows: pd.DataFrame, areas: Sequence[float], data: Sequence[LayerArray], labels: Sequence[Any], meta: LayerMeta
) -> pd.DataFrame:
    """Bring the table of a Shapes layer in line with its outlines.

    Parameters
    ----------
    rows
        One for each object in each plane, with a column ``label``.
    areas
        How many pixels the outlines of each enclose.
    data, labels
        Vertices of all shapes of the layer, and the label of each in the table.
    meta
        Attributes of the layer. Nothing is changed where they do not record which outlines were measured.
    """
    record = (meta.get("metadata") or {}).get(OUTLINES_KEY)
    if not isinstance(record, Mapping):
        return rows
    known, sums = record.get("outlines", {}), outline_sums(data, labels)
    changed = ~rows["label"].isin([label for label, value in sums.items() if known.get(label) == value])
    for name in record.get("columns", ()):
        if name in rows.columns:
            values = areas if name in ("area", "area_px") else np.nan
            rows = rows.assign(**{name: np.where(changed, values, rows[name])})
    return rows
