"""A scheduler is reached, or started here; what is wrong is said in a sentence."""

import os
from pathlib import Path

import pytest

from napari_unetseg.cluster.connection import Cluster, connected, started
from napari_unetseg.errors import ComputerGone, ParameterError


def test_a_scheduler_is_found_by_its_address_and_by_its_file(workers: Cluster, tmp_path: Path) -> None:
    with connected(workers.address) as cluster:
        assert cluster.address == workers.address
        assert cluster.client.submit(os.getpid).result() != os.getpid()
    file = tmp_path / "scheduler.json"
    workers.client.write_scheduler_file(str(file))
    with connected(str(file)) as cluster:
        assert cluster.address == workers.address


def test_the_dashboard_is_told_and_is_for_this_machine_alone(workers: Cluster) -> None:
    assert workers.dashboard is not None
    assert workers.dashboard.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("lab", ParameterError, "lab is no address of a scheduler"),
        ("nowhere.json", ParameterError, r"nowhere\.json: there is no such file\. Start the scheduler first"),
    ],
)
def test_what_is_no_address_is_refused(address: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said), connected(address):
        pass


def test_a_scheduler_that_is_not_there_is_said_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unetseg.cluster.connection._SECONDS", 0.3)
    with pytest.raises(ComputerGone, match=r"tcp://127\.0\.0\.1:9 does not answer"), connected("tcp://127.0.0.1:9"):
        pass


def test_more_workers_than_cores_are_refused() -> None:
    with pytest.raises(ParameterError, match="9999 workers cannot be started here"), started(9999):
        pass


def test_threads_of_this_process_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_unetseg.cluster import connection

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with connection._kept_variables():
        os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ
