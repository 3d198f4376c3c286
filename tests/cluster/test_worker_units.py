"""What a worker does before it begins."""

import dask
import pytest

from napari_unetseg.cluster import worker_units
from napari_unetseg.cluster.worker_check import THREADS_IN_WORKERS, cores_of_process
from napari_unetseg.cores import usable_cores


@pytest.mark.parametrize(
    ("asked", "set_by_dask", "threads"),
    [(None, None, "share"), ("1", "1", "share"), ("1", None, None), ("3", "1", None)],
)
def test_a_worker_uses_its_share_of_the_cores_unless_it_was_told_otherwise(
    asked: str | None, set_by_dask: str | None, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    monkeypatch.setattr(worker_units, "_use_threads", used.append)
    if asked is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    with dask.config.set({THREADS_IN_WORKERS: set_by_dask}):
        worker_units.use_cores({cores_of_process(): 2})
    assert used == ([max(1, usable_cores() // 2)] if threads else [])
