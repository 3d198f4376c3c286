import shlex
import sys
from pathlib import Path

import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.claims import Claims
from napari_unetseg.training import job_folder
from napari_unetseg.training.job_folder import (
    JOB_FILE,
    JobFolder,
    TrainingJob,
    command_line,
    free_model_folder,
    job_folders,
    job_root,
    new_job_folder,
    shell_line,
    training_claim,
    unfinished_jobs,
)
from napari_unetseg.training.progress_events import Failed, Finished, Stepped, event_line
from napari_unetseg.zoo.registry import user_model_folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def a_job(tmp_path: Path, **changes: object) -> TrainingJob:
    fields = {"kind": "improve", "title": "My nuclei", "data": tmp_path / "my data", "output": tmp_path / "new"}
    return TrainingJob.model_validate({**fields, "model": "nuclei", **changes})


def asked(tmp_path: Path, title: str = "My nuclei") -> JobFolder:
    folder = new_job_folder(title)
    folder.write_job(a_job(tmp_path, title=title, output=free_model_folder(title)))
    return folder


STEP = Stepped(step=3, loss=0.5, progress=0.1, seconds=2.0)
DONE = Finished(model=Path("new"), name="my_nuclei", display_name="My nuclei")


def test_what_was_asked_comes_back(tmp_path: Path) -> None:
    folder = new_job_folder("Kerne & Zellen")
    job = a_job(tmp_path, title="Kerne & Zellen äöü", preview=tmp_path / "p.tif", minutes=2.5)
    folder.write_job(job)
    assert JobFolder(folder.path).read_job() == job
    assert folder.path.parent == job_root()


def test_a_damaged_job_is_named(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    (folder.path / JOB_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(UnetsegError, match=r"job\.json"):
        folder.read_job()
    assert free_model_folder("My nuclei").name == "my_nuclei"  # which a damaged job does not keep


def test_its_command_line_is_what_the_shell_takes(tmp_path: Path) -> None:
    words = command_line(a_job(tmp_path, device="cpu"), tmp_path / "check points")
    expected = f"improve nuclei '{tmp_path}/my data/images' '{tmp_path}/my data/masks' --output {tmp_path}/new "
    expected += f"--checkpoints '{tmp_path}/check points' --title 'My nuclei' --minutes 5 --seed 0 --device cpu"
    assert words == shlex.split(expected)
    if sys.platform != "win32":
        assert shell_line(words) == f"napari-unetseg {expected}"


@pytest.mark.parametrize("job_kind", ["improve", "train"])
def test_the_shell_has_all_options_of_a_command_line(tmp_path: Path, job_kind: str) -> None:
    from typer.main import get_command

    from napari_unetseg.cli.main import app

    words = command_line(
        a_job(tmp_path, kind=job_kind, device="cpu", preview=tmp_path / "p.tif", size="tiny", objects="area"), tmp_path
    )
    command = get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    parsed = command.make_context(words[0], words[1:], resilient_parsing=False).params
    assert parsed["title"] == "My nuclei"
    assert parsed["minutes"] == 5
    assert parsed["preview"] == tmp_path / "p.tif"
    if job_kind == "train":
        assert (parsed["objects"], parsed["size"]) == ("area", "tiny")


def test_two_jobs_of_one_title_have_folders_of_their_own(tmp_path: Path) -> None:
    names = [new_job_folder("My nuclei").path.name for _ in range(3)]
    assert names == ["my_nuclei", "my_nuclei_2", "my_nuclei_3"]


def test_a_new_model_takes_no_name_that_there_is(tmp_path: Path) -> None:
    assert free_model_folder("Nuclei") == user_model_folder() / "nuclei_2"  # which is bundled
    (user_model_folder() / "mine").mkdir(parents=True)
    assert free_model_folder("Mine").name == "mine_2"
    asked(tmp_path, "Other")
    assert free_model_folder("Other").name == "other_2"  # that of an unfinished job


def test_a_job_says_how_far_it_is(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    assert folder.state() == "interrupted"
    with Claims() as claims:
        assert claims.claim(training_claim(folder.checkpoints))
        assert folder.state() == "running"
        assert unfinished_jobs() == []
    folder.events_file.write_text(f"{event_line(STEP)}\n", encoding="utf-8")
    assert folder.state() == "interrupted"
    assert [found.path for found in unfinished_jobs()] == [folder.path]
    folder.events_file.write_text(f"{event_line(Failed(text='no memory'))}\n", encoding="utf-8")
    assert folder.state() == "failed"
    assert [found.path for found in unfinished_jobs()] == [folder.path]
    folder.events_file.write_text(f"{event_line(STEP)}\n{event_line(DONE)}\n", encoding="utf-8")
    assert folder.state() == "finished"
    assert unfinished_jobs() == []
    assert [found.path for found in job_folders()] == [folder.path]


def test_a_torn_event_is_left_out(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    assert folder.events() == []
    folder.events_file.write_text(f"{event_line(STEP)}\n{event_line(DONE)[:20]}", encoding="utf-8")
    assert folder.events() == [STEP]


def test_a_folder_without_a_job_is_none(tmp_path: Path) -> None:
    new_job_folder("My nuclei")
    assert job_folders() == []


def test_what_is_large_can_go_without_the_rest(tmp_path: Path) -> None:
    folder = asked(tmp_path)
    folder.delete_checkpoints()
    folder.checkpoints.mkdir()
    (folder.checkpoints / "last.pt").write_bytes(b"large")
    folder.delete_checkpoints()
    assert not folder.checkpoints.exists()
    assert folder.read_job().title == "My nuclei"
    folder.delete()
    assert job_folders() == []
    folder.delete()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(job_folder, "job_root", lambda: tmp_path / "file" / "training")
    with pytest.raises(UnetsegError, match="cannot be written"):
        new_job_folder("x")


def test_what_another_process_works_on_is_not_deleted(tmp_path: Path) -> None:
    folder, claims = asked(tmp_path), Claims()
    assert claims.claim(training_claim(folder.checkpoints))
    with pytest.raises(UnetsegError, match="another process"):
        folder.delete()
    assert folder.read_job().title == "My nuclei"
    claims.release(training_claim(folder.checkpoints))
    folder.delete()
    assert not folder.path.exists()
