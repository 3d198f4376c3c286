import json
import subprocess
import sys

import pytest

from napari_unetseg.errors import UnetsegError
from napari_unetseg.inference.backends.openvino import probe
from napari_unetseg.inference.backends.openvino.probe import (
    check_openvino,
    compute_samples,
    openvino_works,
    report_check,
)

pytest.importorskip("openvino")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered in this process."""
    monkeypatch.setattr(probe, "cache_folder", lambda: tmp_path)
    check_openvino.cache_clear()
    yield tmp_path
    check_openvino.cache_clear()


@pytest.fixture
def ends(monkeypatch):
    """Let the process end with a status and a message; return the list of its starts."""
    starts = []

    def end(returncode, stderr=""):
        def run(line, **options):
            starts.append(line)
            return subprocess.CompletedProcess(line, returncode, "", stderr)

        monkeypatch.setattr(subprocess, "run", run)
        return starts

    return end


def test_it_computes_rightly_here_and_the_process_says_so(cache):
    assert openvino_works()
    (file,) = cache.iterdir()
    assert json.loads(file.read_text())["fault"] == ""


def test_every_precision_is_computed_and_compared():
    differences = compute_samples()
    assert set(differences) == {"float32", "bfloat16", "int8"}
    assert differences["float32"] < 1e-5 < differences["int8"]


def test_an_answer_that_is_off_fails(monkeypatch):
    monkeypatch.setattr(probe, "compute_samples", lambda: {"float32": float("nan")})
    with pytest.raises(SystemExit, match="float32 was off"):
        report_check()


def test_a_crash_is_told_and_remembered_but_not_repeated(cache, ends):
    starts = ends(-4)
    assert not openvino_works()
    check_openvino.cache_clear()
    with pytest.raises(UnetsegError, match=r"does not work on this machine: it ended with status -4.*delete .*works-"):
        check_openvino()
    assert starts == [[sys.executable, "-m", "napari_unetseg.inference.backends.openvino.probe"]]


def test_it_is_tried_again_for_another_version_and_another_processor(cache, ends, monkeypatch):
    starts = ends(0)
    check_openvino()
    for name, value in [("openvino_version", lambda: "1999.1"), ("cpu_name", lambda: "Another processor")]:
        check_openvino.cache_clear()
        monkeypatch.setattr(probe, name, value)
        check_openvino()
    assert len(starts) == len(list(cache.iterdir())) == 3


def test_what_the_process_said_is_told(cache, ends):
    ends(1, "Traceback\nImportError: libtbb.so.12: cannot open shared object file.\n")
    with pytest.raises(UnetsegError, match=r"ImportError: libtbb.so.12: cannot open shared object file\. Choose"):
        check_openvino()


def test_a_process_that_hangs_is_not_held_against_it(cache, monkeypatch):
    def run(line, timeout, **options):
        raise subprocess.TimeoutExpired(line, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UnetsegError, match="no answer within 120 seconds"):
        check_openvino()
    assert list(cache.iterdir()) == []


def test_where_it_is_not_installed_it_does_not_work(cache, monkeypatch):
    monkeypatch.setattr(probe, "openvino_version", lambda: None)
    assert not openvino_works()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UnetsegError, match="OpenVINO is not installed"):
        check_openvino()
