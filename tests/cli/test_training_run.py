import signal
from pathlib import Path

import pytest
import typer

from napari_unetseg.cli.training_run import TrainingRun
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.claims import Claims, is_claimed
from napari_unetseg.training.job_folder import training_claim
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, Validated
from napari_unetseg.training.training_process import LEFT_TO_BE_RESUMED


def test_events_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingRun(tmp_path, as_events=False) as run:
        run.report(Told(text="Reading the images."))
        run.report(
            Begun(images=6, held_out=2, device="The CPU was asked for.", metric="ap50", before=0.25, resumed=True)
        )
        run.report(Begun(images=1, held_out=1, device="The CPU was asked for.", metric="ap50"))
        run.report(Stepped(step=7, loss=0.5, progress=0.1, seconds=3))
        run.report(Validated(step=8, loss=0.4, score=0.7, best=True, seconds=12))
        run.report(Validated(step=9, loss=0.3, score=None, best=False, seconds=13))
        run.report(Finished(model=tmp_path, name="a", display_name="A"))
    assert capsys.readouterr().out.splitlines() == [
        "Reading the images.",
        "Going on from the last checkpoint: 6 images to train on, 2 held out; AP@0.5 before: 0.250. "
        "The CPU was asked for.",
        "Beginning: 1 image to train on, 1 held out. The CPU was asked for.",
        "12 s, step 8: loss 0.4, score 0.700 (best so far)",
        "13 s, step 9: loss 0.3",
    ]


def test_a_folder_of_checkpoints_belongs_to_one_run(tmp_path: Path) -> None:
    claim = training_claim(tmp_path)
    with TrainingRun(tmp_path, as_events=False):
        assert is_claimed(claim)
    assert not is_claimed(claim)


def test_a_folder_that_another_process_trains_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claims, "claim", lambda self, path: False)
    with pytest.raises(UnetsegError, match="another process trains"), TrainingRun(tmp_path, as_events=False):
        pytest.fail("it began all the same")


def test_an_interruption_lets_the_run_write_a_checkpoint_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[Path] = []

    def train() -> None:
        with TrainingRun(tmp_path, as_events=False) as run:
            assert not run.stop()
            signal.raise_signal(signal.SIGINT)
            try:
                run.stop()
            finally:
                saved.append(tmp_path)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(typer.Exit) as left:
        train()
    assert saved
    assert left.value.exit_code == LEFT_TO_BE_RESUMED
    assert "Run the same command again" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) == before


def test_a_second_interruption_ends_it_at_once(tmp_path: Path) -> None:
    def interrupt_twice() -> None:
        with TrainingRun(tmp_path, as_events=False):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
