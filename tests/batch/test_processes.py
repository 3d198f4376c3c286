"""Several processes on one folder share the work, and lose nothing where one of them is killed."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unetseg.batch.folder_journal import JOURNAL_FILE
from napari_unetseg.batch.summary_tables import FILES, OBJECTS

# Says what happens in lines; where it is told to stop it waits for a line.
WORKER = """
import os
import sys
from pathlib import Path
import tifffile
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.io import read_image

here, folder, stop = sys.argv[1:]
sys.path.insert(0, here)
from conftest import FakeService

def say(line):
    os.write(1, f"{line}\\n".encode())  # at once, since threads speak at the same time

def wait(place):
    say(place)
    if place == stop:
        sys.stdin.readline()

def read(path):
    wait(f"reading {path.name}")
    return read_image(path)

write = tifffile.imwrite

def imwrite(path, *arguments, **options):
    write(path, *arguments, **options)
    wait(f"writing {Path(path).name.split('-')[-1]}")

tifffile.imwrite = imwrite

def report(event, counts):
    if event.status not in ("running", "waiting"):
        say(f"{event.status} {event.file.name}")

files = tuple(sorted(Path(folder).glob("*.npy")))
segment_files(FakeService(), BatchJob(files, Path(folder) / "out"), report=report, read=read)
"""


class Worker:
    """A process on the folder; `stop` is the line after which it stands still."""

    def __init__(self, folder, stop=""):
        words = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(folder), stop]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = []

    def wait_for(self, line):
        while line not in self.said:
            said = self.process.stdout.readline()
            assert said, f"ended without {line!r}: {self.said}"
            self.said.append(said.strip())

    def end(self):
        self.said += self.process.communicate("\n")[0].split("\n")
        assert self.process.returncode == 0
        return {line for line in self.said if line.split(" ")[0] in ("done", "skipped", "failed")}

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate("abcd", start=1):
        image = np.zeros((64, 64), np.uint16)
        for at in range(number):
            image[12 * at + 4 : 12 * at + 12, 4:20] = 4000
        np.save(tmp_path / f"{name}.npy", image)
    return tmp_path


@pytest.fixture
def start(folder):
    workers = []

    def make(stop=""):
        workers.append(Worker(folder, stop))
        return workers[-1]

    yield make
    for worker in workers:
        worker.kill()


def journal(folder):
    lines = (folder / "out" / JOURNAL_FILE).read_text().splitlines()
    return sorted(Path(json.loads(line)["file"]).name for line in lines)


def check_complete(folder):
    """All images are done once, both summaries have them all, and nothing hidden is left."""
    out = folder / "out"
    assert journal(folder) == ["a.npy", "b.npy", "c.npy", "d.npy"]
    with (out / FILES).open(newline="") as file:
        assert {row["file"]: (row["status"], row["objects"]) for row in csv.DictReader(file)} == {
            f"{name}.npy": ("done", str(number)) for number, name in enumerate("abcd", start=1)
        }
    with (out / OBJECTS).open(newline="") as file:
        found = [row["file"] for row in csv.DictReader(file)]
    assert found == ["a.npy"] + 2 * ["b.npy"] + 3 * ["c.npy"] + 4 * ["d.npy"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_two_processes_do_each_image_once_and_both_tell_of_all(start, folder):
    first = start(stop="reading b.npy")
    first.wait_for("reading b.npy")
    second = start()
    for name in "cd":
        second.wait_for(f"done {name}.npy")
    assert first.process.poll() is second.process.poll() is None
    told = first.end()
    assert told == {"done a.npy", "done b.npy", "skipped c.npy", "skipped d.npy"}
    assert second.end() == {"skipped a.npy", "skipped b.npy", "done c.npy", "done d.npy"}
    assert "reading b.npy" not in second.said
    check_complete(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("place", ["reading a.npy", "reading c.npy"])
def test_what_a_killed_process_had_is_taken_over_by_one_that_waits(start, folder, place):
    first = start(stop=place)
    first.wait_for(place)
    second = start()
    second.wait_for("done d.npy")
    first.kill()
    second.end()
    check_complete(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("place", ["reading a.npy", "writing a_labels.tif", "writing d_labels.tif"])
def test_what_a_killed_process_had_is_done_by_the_next_one(start, folder, place):
    first = start(stop=place)
    first.wait_for(place)
    first.kill()
    assert [path for path in (folder / "out").iterdir() if path.name.startswith(".unetseg-")]
    start().end()
    check_complete(folder)
