import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from napari_unetseg import language
from napari_unetseg.io.claims import is_claimed
from napari_unetseg.training.job_folder import training_claim
from napari_unetseg.training.progress_events import (
    Begun,
    Failed,
    Finished,
    Stepped,
    TrainingEvent,
    Validated,
    read_event,
)
from napari_unetseg.training.state import LAST_FILE
from napari_unetseg.training.train import PREVIEW_FILE
from napari_unetseg.training.training_process import LEFT_TO_BE_RESUMED, TrainingProcess
from napari_unetseg.training.training_recipe import TrainingRecipe, write_training_recipe
from napari_unetseg.zoo.registry import read_package

LONG = 300.0
"""Seconds after which a test gives up waiting for a process."""


@pytest.fixture
def endless(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> list[str]:
    """Command line of a run that goes on until somebody ends it."""
    slow = recipe.model_copy(update={"steps": 10_000_000, "validate_every": 20})
    write_training_recipe(slow, tmp_path / "recipe.yaml")
    words = ["train", dataset, "--recipe", tmp_path / "recipe.yaml", "--output", tmp_path / "model"]
    words += ["--checkpoints", tmp_path / "checkpoints", "--preview", dataset / "images" / "field0.png"]
    return [*map(str, words), "--device", "cpu"]


def follow(
    process: TrainingProcess, when: Callable[[TrainingEvent], bool], do: Callable[[], None]
) -> list[TrainingEvent]:
    """Read a process to its end, and do something once at an event."""
    events: list[TrainingEvent] = []
    done = False
    for event in process.events():
        events.append(event)
        if not done and when(event):
            done = True
            do()
    assert done
    return events


def is_validated(event: TrainingEvent) -> bool:
    return isinstance(event, Validated)


def test_a_run_that_is_stopped_leaves_the_best_model(endless: list[str], tmp_path: Path) -> None:
    process = TrainingProcess(endless, tmp_path / "log" / "events.jsonl")
    events = follow(process, is_validated, process.stop)
    assert process.wait(LONG) == 0
    assert not process.running
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped
    assert read_package(tmp_path / "model", "path").name == "discs"
    lines = (tmp_path / "log" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [read_event(line) for line in lines] == events
    (preview,) = {event.preview for event in events if isinstance(event, Validated)}
    assert preview == tmp_path / "checkpoints" / PREVIEW_FILE


def test_a_run_that_is_left_goes_on_when_it_is_taken_up_again(endless: list[str], tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    process = TrainingProcess(endless, log)
    first = follow(process, lambda event: isinstance(event, Stepped) and event.step > 2, process.abandon)
    assert process.wait(LONG) == LEFT_TO_BE_RESUMED
    assert not any(isinstance(event, Finished | Failed) for event in first)
    assert (tmp_path / "checkpoints" / LAST_FILE).exists()
    assert not (tmp_path / "model").exists()
    done = max(event.step for event in first if isinstance(event, Stepped))
    again = TrainingProcess(endless, log)
    second = follow(again, is_validated, again.stop)
    assert [event.resumed for event in second if isinstance(event, Begun)] == [True]
    assert min(event.step for event in second if isinstance(event, Stepped)) > done
    assert isinstance(second[-1], Finished)
    assert len(log.read_text(encoding="utf-8").splitlines()) == len(first) + len(second)


def test_what_cannot_be_learnt_from_is_told(endless: list[str], dataset: Path) -> None:
    (dataset / "masks" / "field3.png").unlink()
    process = TrainingProcess(endless)
    *_, failed = process.events()
    assert isinstance(failed, Failed)
    assert "field3.png" in failed.text
    assert process.wait(LONG) == 1


def test_a_command_line_that_is_refused_is_told_in_its_last_lines() -> None:
    (failed,) = TrainingProcess(["train", "--no-such-option"]).events()
    assert isinstance(failed, Failed)
    assert "--no-such-option" in failed.text


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_run_that_was_killed_is_told_and_can_be_taken_up_again(endless: list[str], tmp_path: Path) -> None:
    process = TrainingProcess(endless)

    def kill() -> None:
        # Others may run, such as one that Python itself starts for semaphores, or that an earlier test left.
        (child,) = (one for one in psutil.Process().children() if str(tmp_path / "model") in one.cmdline())
        assert child.nice() >= 10
        assert is_claimed(training_claim(tmp_path / "checkpoints"))
        child.send_signal(signal.SIGKILL)

    events = follow(process, is_validated, kill)
    assert isinstance(events[-1], Failed)
    assert "ended unexpectedly" in events[-1].text
    assert not is_claimed(training_claim(tmp_path / "checkpoints"))
    assert (tmp_path / "checkpoints" / LAST_FILE).exists()


def test_it_speaks_the_language_of_the_program_that_follows_it(tmp_path: Path) -> None:
    arguments = ["improve", "unheard_of", str(tmp_path), str(tmp_path), "--output", str(tmp_path / "model")]
    language.use("de")
    try:
        (german,) = TrainingProcess(arguments).events()
    finally:
        language.use("en")
    (english,) = TrainingProcess(arguments).events()
    assert isinstance(german, Failed)
    assert "kein Modell 'unheard_of'" in german.text
    assert isinstance(english, Failed)
    assert "no model 'unheard_of'" in english.text


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is nobody's child")
def test_a_run_does_not_outlive_the_program_that_follows_it(endless: list[str], tmp_path: Path) -> None:
    program = (
        "import psutil, sys\n"
        "from napari_unetseg.training.progress_events import Validated\n"
        "from napari_unetseg.training.training_process import TrainingProcess\n"
        "for event in TrainingProcess(sys.argv[1:]).events():\n"
        "    if isinstance(event, Validated):\n"
        "        print(psutil.Process().children()[0].pid, flush=True)\n"
    )
    line = [sys.executable, "-c", program, *endless]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        pid = int(follower.stdout.readline())
        run = os.pidfd_open(pid)
        try:
            follower.kill()
            assert select.select([run], [], [], LONG)[0] == [run]
        finally:
            os.close(run)
    assert (tmp_path / "checkpoints" / LAST_FILE).exists()
    assert not (tmp_path / "model").exists()
