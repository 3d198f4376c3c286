"""Who does the work of a command."""

from pathlib import Path

import pytest
import typer

from napari_unetseg.cli.cluster_options import Hands, open_hands
from napari_unetseg.service import SegmentationService


class Remote:
    """A service whose network runs on a server."""


def test_without_options_this_process_does_all(bright_model: Path) -> None:
    with SegmentationService(bright_model) as service, open_hands(service, None, None) as hands:
        assert hands == Hands(None, None)


def test_workers_and_a_scheduler_exclude_each_other(bright_model: Path) -> None:
    with (
        SegmentationService(bright_model) as service,
        pytest.raises(typer.BadParameter, match="leave --workers out"),
        open_hands(service, 2, "tcp://lab:8786"),
    ):
        pass


@pytest.mark.parametrize(("workers", "scheduler"), [(2, None), (None, "tcp://lab:8786")])
def test_the_network_runs_on_a_server_or_by_workers(workers: int | None, scheduler: str | None) -> None:
    with (
        pytest.raises(typer.BadParameter, match="name either a server or workers"),
        open_hands(Remote(), workers, scheduler),
    ):
        pass
