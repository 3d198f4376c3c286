"""A training run that does what the test says, and a viewer with a result."""

import queue
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from napari_unetseg.plugin.widget import SegmentationWidget
from napari_unetseg.training.progress_events import TrainingEvent, event_line

Step = Callable[..., Any]


class FakeRun:
    """Stands in for a process: tells the events that a test gives it, obeys `stop`, and ends when it is abandoned."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.arguments, self.log = list(arguments), log
        self.stopped = self.abandoned = False
        self._events: queue.Queue[TrainingEvent | None] = queue.Queue()

    def tell(self, *events: TrainingEvent) -> None:
        for event in events:
            self._events.put(event)

    def end(self) -> None:
        self._events.put(None)

    def events(self) -> Iterator[TrainingEvent]:
        while (event := self._events.get(timeout=30)) is not None:
            with self.log.open("a") as file:
                file.write(f"{event_line(event)}\n")
            yield event

    def stop(self) -> None:
        self.stopped = True

    def abandon(self) -> None:
        self.abandoned = True
        self.end()


class FakeProcesses:
    """Makes `FakeRun`s, and keeps them."""

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []

    def __call__(self, arguments: Sequence[str], log: Path) -> FakeRun:
        self.runs.append(FakeRun(arguments, log))
        return self.runs[-1]

    @property
    def last(self) -> FakeRun:
        return self.runs[-1]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find the jobs of another."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture
def processes() -> Iterator[FakeProcesses]:
    made = FakeProcesses()
    yield made
    for run in made.runs:
        run.end()


@pytest.fixture
def open_window(
    make_widget: Step, press_run: Step, settle: Step, processes: FakeProcesses, qtbot: Any
) -> Iterator[Callable[..., SegmentationWidget]]:
    """Make a window whose training runs are fake, with a result of each image."""
    made: list[SegmentationWidget] = []

    def make(*images: Any, **arguments: Any) -> SegmentationWidget:
        widget: SegmentationWidget = make_widget(*images, **arguments)
        widget.learning._process = processes
        for _ in images[:1]:
            press_run(widget)
            settle(widget)
        made.append(widget)
        return widget

    yield make
    for widget in made:
        widget.learning.stop()
        for run in processes.runs:
            run.end()
        qtbot.waitUntil(lambda w=widget: not w.learning.busy, timeout=20_000)
