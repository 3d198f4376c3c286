"""Every key changes something: what, each test says; that none is left out, the last one."""

import base64
import io
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import requests
import tifffile
import torch
from typer.testing import CliRunner

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.config.keys import dotted, fields
from napari_unetseg.errors import Cancelled, DeviceError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.torch_backend import TorchBackend

SHOWN: list[str] = []


def shows(*keys: str) -> Callable:
    """Register which keys a test shows at work."""
    SHOWN.extend(keys)
    return lambda test: test


@pytest.fixture
def picture():
    """Four bright squares on a dark ground; two of them touch at a corner, one has a hole."""
    pixels = np.full((64, 64), 10, np.uint8)
    for y, x in [(6, 6), (14, 14), (40, 10), (40, 44)]:
        pixels[y : y + 9, x : x + 9] = 220
    pixels[43:46, 47:50] = 10
    return Image(pixels, name="squares")


@pytest.fixture
def make(bright_model):
    """Make a service with these settings, on the CPU; `wanted` goes before the tests' model of bright pixels."""
    made = []

    def service(wanted=bright_model, device="cpu", development=None, **sections) -> SegmentationService:
        made.append(
            SegmentationService(wanted, device, settings=Settings(unet=sections, development=development or {}))
        )
        return made[-1]

    yield service
    for one in made:
        one.close()


@pytest.fixture
def checkpoints(tmp_path, published_checkpoint):
    """A folder with one checkpoint, a small U-Net."""
    published_checkpoint(tmp_path / "checkpoints" / "best.pth")
    return tmp_path / "checkpoints"


@pytest.fixture
def own(make, checkpoints):
    """Make a service with the checkpoint and these settings."""
    return lambda **sections: make(None, model={"checkpoint_dir": checkpoints}, **sections)


@shows("unet.model.name")
def test_the_named_model_is_used(make, bright_model):
    assert make(None).package.name == "nuclei"
    assert make(None, model={"name": str(bright_model)}).package.name == "bright"


@shows("unet.model.checkpoint_dir")
def test_the_checkpoint_of_the_folder_is_used(own, checkpoints, picture):
    service = own()
    assert service.model_info().checkpoint_path == str(checkpoints / "best.pth")
    assert service.segment(picture).provenance.model == "best"


@shows("unet.model.model_variant")
def test_the_variant_chooses_the_checkpoint(make, checkpoints, published_checkpoint):
    published_checkpoint(checkpoints / "unet_deep.pth")
    service = make(None, model={"checkpoint_dir": checkpoints, "model_variant": "deep"})
    assert service.model_info().checkpoint_path == str(checkpoints / "unet_deep.pth")


@shows("unet.model.device")
def test_the_device_is_the_one_that_is_set(make, picture):
    reasons = [
        make(device=None, model={"device": device}).segment(picture).provenance.device_reason
        for device in ("auto", "cpu")
    ]
    assert reasons[1] == "The CPU was asked for."
    assert reasons[0] != reasons[1]


@shows("unet.model.fallback_to_cpu")
def test_a_missing_device_is_replaced_or_an_error(make, picture, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = make(device="cuda", model={"fallback_to_cpu": True}).segment(picture)
    assert result.provenance.device == "cpu"
    assert "CPU instead" in result.warnings[0]
    with pytest.raises(DeviceError):
        make(device="cuda", model={"fallback_to_cpu": False}).segment(picture)


@shows("unet.model.backend")
def test_the_runtime_is_the_one_that_is_set(make, picture):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert make().segment(picture).provenance.backend == "torch"
    assert make(model={"backend": "onnxruntime"}).segment(picture).provenance.backend == "onnxruntime"


@shows("unet.model.precision")
def test_the_arithmetic_is_the_one_that_is_set(make, picture, processor_with_bfloat16):
    for precision in ("float32", "bfloat16"):
        assert make(model={"precision": precision}).segment(picture).provenance.precision == precision


@shows("unet.model.compile")
@pytest.mark.parametrize("compile_", [True, False])
def test_the_network_is_compiled_if_wanted(make, picture, compile_, monkeypatch):
    wanted = []

    def torch_backend(*args, compiles, **options):
        wanted.append(compiles)
        return TorchBackend(*args, **options)

    monkeypatch.setattr("napari_unetseg.inference.backends.make_backend.torch_backend", torch_backend)
    make(model={"compile": compile_}).segment(picture)
    assert wanted == [compile_]


@shows("unet.memory.keep_freed_memory")
@pytest.mark.parametrize("keep", [True, False])
def test_freed_memory_is_kept_if_wanted(make, picture, keep, monkeypatch):
    kept = []
    monkeypatch.setattr("napari_unetseg.inference.backends.make_backend.keep_freed_memory", lambda: kept.append(1))
    make(memory={"keep_freed_memory": keep}).segment(picture)
    assert bool(kept) is keep


@shows("unet.model.eager_loading")
def test_an_eager_service_has_its_model_at_once(make):
    assert not make().model_info().loaded
    assert make(model={"eager_loading": True}).model_info().loaded


@shows("unet.model.max_models_gb")
@pytest.mark.parametrize(("gigabytes", "stays"), [(1.0, True), (1e-9, False)])
def test_models_beyond_the_memory_are_unloaded(make, checkpoints, picture, gigabytes, stays):
    service = make(model={"max_models_gb": gigabytes})
    service.segment(picture)
    service.segment(picture, model=checkpoints / "best.pth")
    assert service.model_info().loaded is stays
    assert service.model_info(checkpoints / "best.pth").loaded


@shows("unet.preprocessing.image_size")
def test_images_are_stretched_to_the_size(own, picture):
    assert own().segment(picture).provenance.resized_to is None
    result = own(preprocessing={"image_size": [32, 48]}).segment(picture)
    assert result.provenance.resized_to == (32, 48)
    assert result.labels.shape == (64, 64)


@pytest.fixture
def seen(monkeypatch):
    """Every array of tiles that a network was handed, (N, C, H, W)."""
    from napari_unetseg.inference.backends.torch_backend import TorchBackend

    handed = []
    run = TorchBackend.run
    monkeypatch.setattr(
        TorchBackend, "run", lambda self, tiles, *rest: handed.append(np.array(tiles)) or run(self, tiles, *rest)
    )
    return handed


@shows("unet.preprocessing.normalize", "unet.preprocessing.mean", "unet.preprocessing.std")
def test_intensities_reach_the_network_as_set(own, picture, seen):
    def highest(**preprocessing) -> list[float]:
        own(preprocessing=preprocessing, health={"startup_validation": False}).segment(picture)
        # Of a grey image one channel may stand for all.
        return np.broadcast_to(seen[-1].max(axis=(0, 2, 3)), 3).tolist()

    white = 220 / 255
    assert highest(normalize=False) == pytest.approx([white] * 3, rel=1e-5)
    assert highest(mean=[0.5], std=[0.25]) == pytest.approx([(white - 0.5) / 0.25] * 3, rel=1e-5)
    three = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 0.5]}
    expected = [(white - mean) / std for mean, std in zip(*three.values(), strict=True)]
    assert highest(normalize=True, **three) == pytest.approx(expected, rel=1e-5)


@shows("unet.inference.batch_size")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_as_many_tiles_go_at_once(make, seen, batch_size):
    service = make(inference={"batch_size": batch_size, "window": 64}, health={"startup_validation": False})
    service.segment(np.eye(200))
    assert max(len(tiles) for tiles in seen) == batch_size


@shows("unet.inference.window")
@pytest.mark.parametrize("window", [64, 96])
def test_tiles_are_as_large_as_allowed(make, seen, window):
    service = make(inference={"window": window}, health={"startup_validation": False})
    service.segment(np.eye(200))
    assert 0.75 * window < max(max(tiles.shape[2:]) for tiles in seen) <= window


@pytest.fixture
def pools(bright_model):
    """Load the model with these settings of the memory, and return its pools."""
    from napari_unetseg.service.loaded_model import load_model
    from napari_unetseg.zoo.registry import find_model

    loaded = []

    def load(**memory):
        loaded.append(load_model(find_model(bright_model), Settings(unet={"memory": memory}), device="cpu"))
        return loaded[-1].pools

    yield load
    for loaded_model in loaded:
        loaded_model.close()


@shows("unet.memory.pool_size_multiplier")
@pytest.mark.parametrize(("most", "kept"), [(1, 1), (2, 2), (10, 3)])
def test_as_many_buffers_of_one_kind_are_kept(pools, most, kept):
    pool = pools(pool_size_multiplier=most).input
    with pool.lease((256,)) as one, pool.lease((256,)), pool.lease((256,)):
        size = one.nbytes
    assert pool.report().held_bytes == kept * size


@shows("unet.memory.max_pool_size_gb")
@pytest.mark.parametrize(("gigabytes", "kept"), [(0, 0), (1.5e-6, 1), (4, 2)])
def test_buffers_are_kept_within_the_limit(pools, gigabytes, kept):
    pool = pools(max_pool_size_gb=gigabytes).output
    with pool.lease((256,)) as one, pool.lease((128, 2)):
        size = one.nbytes
    assert pool.report().held_bytes == kept * size


@shows("unet.memory.enable_gpu_pools")
@pytest.mark.parametrize("wanted", [True, False])
def test_buffers_of_a_device_are_kept_where_wanted(pools, wanted):
    pool = pools(enable_gpu_pools=wanted).input
    with pool.lease((256,), device="meta") as buffer:
        size = buffer.nbytes
    assert pool.report().held_bytes == (size if wanted else 0)


@shows("unet.inference.threshold")
def test_pixels_belong_to_an_object_from_the_threshold_on(own, picture):
    some, none = (own(inference={"threshold": threshold}).segment(picture) for threshold in (0.0, 1.0))
    assert (some.labels > 0).all()
    assert none.count == 0


@shows("unet.postprocessing.min_size")
def test_smaller_objects_are_dropped(own, picture):
    assert own().segment(picture).count > 0
    assert own(postprocessing={"min_size": 64 * 64 + 1}).segment(picture).count == 0


@shows("unet.postprocessing.split", "unet.postprocessing.fill_holes")
def test_the_decoder_is_handed_what_is_set(own, picture):
    parameters = own(postprocessing={"split": 0.0, "fill_holes": False}).segment(picture).parameters
    assert (parameters.split, parameters.fill_holes) == (0.0, False)


@shows("unet.inference.enable_confidence")
def test_without_confidence_no_result_tells_it(make, picture):
    on, off = (make(inference={"enable_confidence": wanted}) for wanted in (True, False))
    assert "confidence_scoring" in on.health(False).capabilities
    assert "confidence_scoring" not in off.health(False).capabilities
    assert "confidence" in on.segment(picture).measurements
    result = off.segment(picture)
    assert "confidence" not in result.measurements
    assert result.confidence is None


@shows("unet.inference.enable_batch_processing")
def test_without_batch_processing_images_go_one_by_one(make, picture, monkeypatch):
    from napari_unetseg.service.loaded_model import LoadedModel

    together = []
    predict_many = LoadedModel.predict_many
    monkeypatch.setattr(
        LoadedModel,
        "predict_many",
        lambda self, *given, **named: together.append(1) or predict_many(self, *given, **named),
    )
    off = make(inference={"enable_batch_processing": False})
    alone = off.segment_batch([picture, picture])
    assert together == []
    assert "batch_processing" not in off.health(False).capabilities
    shared = make().segment_batch([picture, picture])
    assert together
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


@shows("unet.health.startup_validation")
def test_a_model_that_fails_its_check_is_refused_at_the_start(make, picture, monkeypatch):
    from napari_unetseg.service import health_check

    check = SimpleNamespace(dummy_inference_ms=1.0, known_answer=None, problems=("It is broken.",))
    monkeypatch.setattr(health_check, "check_model", lambda *_: check)
    with pytest.raises(UnetsegError, match="It is broken"):
        make().segment(picture)
    assert make(health={"startup_validation": False}).segment(picture).count > 0


@shows("unet.health.dummy_inference_test")
def test_without_the_dummy_inference_nothing_is_run_for_a_check(make, picture):
    assert make().health().dummy_inference_ms is not None
    off = make(health={"dummy_inference_test": False})
    health = off.health()
    assert health.service_healthy
    assert health.dummy_inference_ms is None
    assert off.segment(picture).count > 0


@shows("unet.health.known_answer_test")
def test_the_stored_answer_is_compared_where_wanted(make):
    with_answer, without = (make("nuclei", health={"known_answer_test": wanted}).health() for wanted in (True, False))
    assert with_answer.known_answer.passed
    assert without.known_answer is None
    assert without.dummy_inference_ms is not None


@shows("unet.health.health_check_interval")
def test_the_panel_asks_as_often_as_set(monkeypatch):
    from napari_unetseg.plugin.panel.health_controller import configured_interval

    assert configured_interval() == 30
    monkeypatch.setenv("UNET_HEALTH_HEALTH_CHECK_INTERVAL", "7.5")
    assert configured_interval() == 7.5


@shows("unet.window.language")
def test_the_window_speaks_the_language_that_is_set(monkeypatch):
    from napari_unetseg import language
    from napari_unetseg.plugin.languages import activate_language

    monkeypatch.setenv("UNET_WINDOW_LANGUAGE", "de")
    try:
        assert activate_language() == "de"
    finally:
        language.use("en")


@shows("unet.health.slow_inference_ms")
def test_a_slow_image_gets_a_warning_with_advice(make, picture):
    assert make().segment(picture).warnings == ()
    (warning,) = make(health={"slow_inference_ms": 1e-6}).segment(picture).warnings
    assert "lightweight" in warning


@shows("unet.logging.log_requests", "unet.logging.enable_performance_logging")
@pytest.mark.parametrize(
    ("section", "messages"),
    [
        ({}, []),
        ({"log_requests": True}, ["segmented"]),
        ({"enable_performance_logging": True}, ["stages"]),
    ],
)
def test_calls_leave_records_where_wanted(make, picture, caplog, section, messages):
    with caplog.at_level(logging.INFO, "napari_unetseg"):
        make(logging=section).segment(picture)
    assert caplog.messages == messages


@shows("development.save_debug_outputs", "development.debug_output_dir")
def test_each_run_leaves_its_outputs_where_wanted(make, picture, tmp_path):
    folder = tmp_path / "debug"
    make(development={"debug_output_dir": folder}).segment(picture)
    assert not folder.exists()
    make(development={"debug_output_dir": folder, "save_debug_outputs": True}).segment_batch([picture, picture])
    runs = list(folder.iterdir())
    assert len(runs) == 2
    assert all((run / "labels.tif").is_file() for run in runs)


@pytest.fixture
def call():
    """Run the command line within this process, and take its log handlers away again."""
    from napari_unetseg.cli.main import app

    logger = logging.getLogger("napari_unetseg")
    handlers, level = list(logger.handlers), logger.level
    yield lambda *words: CliRunner().invoke(app, [str(word) for word in words])
    logger.handlers[:] = handlers
    logger.setLevel(level)


@shows("unet.logging.level")
@pytest.mark.parametrize(("level", "written"), [("INFO", True), ("WARNING", False)])
def test_records_are_written_from_the_level_on(call, picture, bright_model, tmp_path, monkeypatch, level, written):
    tifffile.imwrite(tmp_path / "squares.tif", picture.array)
    monkeypatch.setenv("UNET_LOGGING_LEVEL", level)
    monkeypatch.setenv("UNET_LOGGING_LOG_REQUESTS", "true")
    result = call("segment", tmp_path / "squares.tif", "--model", bright_model, "--device", "cpu")
    assert result.exit_code == 0
    assert ("message=segmented" in result.stderr) is written


@shows("development.enable_debug_endpoints")
@pytest.mark.parametrize("wanted", [True, False])
def test_health_dumps_the_process_where_wanted(call, bright_model, monkeypatch, wanted):
    monkeypatch.setenv("UNET_DEVELOPMENT_ENABLE_DEBUG_ENDPOINTS", str(wanted))
    reported = json.loads(call("health", "--model", bright_model, "--device", "cpu", "--json").stdout)
    assert ("debug" in reported) is wanted
    if wanted:
        assert reported["debug"]["settings"]["development"]["enable_debug_endpoints"] is True
        assert "MainThread" in reported["debug"]["threads"]


@shows("server.host", "server.port")
def test_the_server_listens_where_it_shall(bright_model, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("UNET_SERVER_HOST", "localhost")
    monkeypatch.setenv("UNET_SERVER_PORT", str(port))
    line = [sys.executable, "-m", "napari_unetseg", "serve", "--model", bright_model, "--device", "cpu"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith(f"Listening on http://localhost:{port} ")
            assert requests.get(f"http://localhost:{port}/livez", timeout=60).status_code == 200
        finally:
            process.terminate()


@pytest.fixture
def client(bright_model):
    """Make a client of a server with these settings of its own, in this process."""
    from starlette.testclient import TestClient

    from napari_unetseg.server.app import create_app

    services = []

    def of(**server) -> TestClient:
        settings = Settings(server=server)
        services.append(SegmentationService(bright_model, "cpu", settings=settings))
        return TestClient(create_app(settings, services[-1]), base_url="http://127.0.0.1")

    yield of
    for service in services:
        service.close()


MODELS = "/api/unet/models"


@shows("server.require_keys", "server.keys_file")
def test_keys_of_the_file_are_asked_for_where_wanted(client, tmp_path):
    from napari_unetseg.server.keys import add_key

    key = {"X-API-Key": add_key(tmp_path / "a.json", "Ada")}
    assert client(host="0.0.0.0", keys_file=tmp_path / "a.json").get(MODELS).status_code == 401
    assert client(host="0.0.0.0", keys_file=tmp_path / "a.json").get(MODELS, headers=key).status_code == 200
    assert client(host="0.0.0.0", keys_file=tmp_path / "b.json").get(MODELS, headers=key).status_code == 401
    assert client(host="0.0.0.0", require_keys=False).get(MODELS).status_code == 200


@shows("server.max_request_mb")
@pytest.mark.parametrize(("most", "status"), [(0.001, 413), (1.0, 422)])
def test_larger_requests_are_refused(client, most, status):
    answer = client(max_request_mb=most).post("/api/unet/segment", json={"image_data": 2000 * "A"})
    assert answer.status_code == status


def send(client, *arrays):
    """Send images to POST /segment, or several to POST /segment-batch, and return the answer."""

    def text(array):
        file = io.BytesIO()
        np.save(file, array)
        return {"image_data": base64.b64encode(file.getvalue()).decode()}

    if len(arrays) == 1:
        return client.post("/api/unet/segment", json=text(arrays[0]))
    return client.post("/api/unet/segment-batch", json={"images": [text(array) for array in arrays]})


@shows("server.max_megapixels")
@pytest.mark.parametrize(("most", "status"), [(0.001, 422), (1.0, 200)])
def test_larger_images_are_refused(client, picture, most, status):
    assert send(client(max_megapixels=most), picture.array).status_code == status


@shows("server.max_compression")
@pytest.mark.parametrize(("most", "status"), [(0.5, 422), (2.0, 200)])
def test_images_that_unpack_to_more_are_refused(client, most, status):
    # Only images of more than four million values are suspected.
    assert send(client(max_compression=most), np.zeros((2100, 2100), np.uint8)).status_code == status


@shows("server.max_batch")
@pytest.mark.parametrize(("most", "status"), [(1, 422), (2, 200)])
def test_longer_batches_are_refused(client, picture, most, status):
    assert send(client(max_batch=most), picture.array, picture.array).status_code == status


@shows("server.queue_size", "server.queue_megapixels")
@pytest.mark.parametrize(
    ("server", "status"),
    [({"queue_size": 1}, 503), ({"queue_size": 2}, 200), ({"queue_megapixels": 0.007}, 503), ({}, 200)],
)
def test_only_so_many_images_are_worked_on(client, picture, server, status):
    serving, began, release = client(**server), threading.Event(), threading.Event()
    service, segment = serving.app.state.context.service, serving.app.state.context.service.segment

    def first_waits(*words, **options):
        if not began.is_set():
            began.set()
            assert release.wait(60)
        return segment(*words, **options)

    service.segment = first_waits
    with serving, ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, serving, picture.array)
        assert began.wait(60)
        assert send(serving, picture.array).status_code == status
        release.set()
        assert first.result().status_code == 200


@shows("server.timeout_s")
def test_a_request_beyond_its_time_is_given_up(client, picture):
    serving = client(timeout_s=0.05)

    def until_cancelled(*_words, cancel, **_options):
        while not cancel():
            threading.Event().wait(0.01)
        raise Cancelled("stopped")

    serving.app.state.context.service.segment = until_cancelled
    assert send(serving, picture.array).json()["error"]["code"] == "deadline_exceeded"


@shows("server.shutdown_s")
def test_the_time_of_a_stop_is_uvicorn_s(call, bright_model, monkeypatch):
    seen = []
    monkeypatch.setenv("UNET_SERVER_SHUTDOWN_S", "7")
    monkeypatch.setattr("uvicorn.Server.run", lambda self, _sockets: seen.append(self.config.timeout_graceful_shutdown))
    assert call("serve", "--port", "0", "--model", bright_model, "--device", "cpu").exit_code == 0
    assert seen == [7]


@shows("server.measure_batch")
@pytest.mark.parametrize("wanted", [True, False])
def test_the_batch_size_is_measured_where_wanted(client, monkeypatch, wanted):
    measured = []
    monkeypatch.setattr("napari_unetseg.server.startup.measure_batch_size", lambda package, _: measured.append(package))
    context = client(measure_batch=wanted).app.state.context
    context.startup.begin().join()
    assert context.startup.ready
    assert bool(measured) is wanted


@shows("server.rate_per_minute")
@pytest.mark.parametrize(("most", "statuses"), [(None, [200, 200, 200]), (2, [200, 200, 429])])
def test_more_requests_a_minute_are_refused(client, most, statuses):
    asking = client(rate_per_minute=most)
    assert [asking.get(MODELS).status_code for _ in statuses] == statuses


@shows("server.audit_log")
def test_requests_are_written_down_where_wanted(client, tmp_path):
    client(audit_log=tmp_path / "audit.jsonl").get(MODELS)
    assert json.loads((tmp_path / "audit.jsonl").read_text())["path"] == MODELS
    client().get(MODELS)
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == 1


JOBS = "/api/unet/jobs"


def raw(array: np.ndarray) -> dict:
    """An array as the body of a request."""
    file = io.BytesIO()
    np.save(file, array)
    return {"content": file.getvalue(), "headers": {"Content-Type": "application/octet-stream"}}


@shows("server.jobs_dir")
def test_jobs_are_kept_in_their_folder(client, tmp_path):
    answer = client(jobs_dir=tmp_path / "jobs").post(JOBS, **raw(np.zeros((8, 8), np.uint8)))
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [answer.json()["job_id"]]


@shows("server.jobs_keep_hours")
def test_jobs_that_have_ended_are_kept_as_long_as_wanted(client, tmp_path):
    asking = client(jobs_dir=tmp_path / "jobs", jobs_keep_hours=2)
    job = asking.post(JOBS, **raw(np.zeros((8, 8), np.uint8))).json()
    before = datetime.now(UTC).replace(microsecond=0)
    expires = datetime.fromisoformat(asking.delete(f"{JOBS}/{job['job_id']}").json()["expires"])
    assert before <= expires - timedelta(hours=2) <= datetime.now(UTC)


@shows("server.jobs_max_gb")
@pytest.mark.parametrize(("most", "status"), [(1e-4, 202), (1e-5, 503)])
def test_jobs_take_no_more_room_than_they_may(client, tmp_path, most, status):
    asking = client(jobs_dir=tmp_path / "jobs", jobs_max_gb=most)
    assert asking.post(JOBS, **raw(np.zeros((100, 100), np.uint8))).status_code == status


@shows("client.server")
def test_commands_use_the_server_that_is_set_and_say_so(server, capsys):
    from napari_unetseg.cli.opening import open_service
    from napari_unetseg.client import RemoteService

    settings = Settings(client={"server": server.url})
    with open_service(None, None, settings=settings) as service:
        assert isinstance(service, RemoteService)
    assert capsys.readouterr().err == f"The network runs on {server.url} (client.server in the settings).\n"
    with open_service(None, "cpu", settings=settings) as service:
        assert isinstance(service, SegmentationService)


@shows("client.key", "client.connect_timeout_s")
def test_the_key_is_sent_and_the_server_waited_for(monkeypatch):
    import httpx2

    from napari_unetseg.client import check_server

    sent = []

    def stream(client, method, url, **options):
        sent.append((client.headers["Authorization"], options["timeout"].connect))
        raise httpx2.ConnectError("no network in this test")

    monkeypatch.setattr(httpx2.AsyncClient, "stream", stream)
    with pytest.raises(UnetsegError):
        check_server("http://lab:8001", settings=Settings(client={"key": "secret", "connect_timeout_s": 3}))
    assert sent == [("Bearer secret", 3)]


@shows("client.parallel_requests")
@pytest.mark.parametrize("number", [1, 3])
def test_so_many_images_are_with_the_server_at_once(server, picture, monkeypatch, number):
    from napari_unetseg.client import RemoteService
    from napari_unetseg.client.remote_model import RemoteModel

    at_once, settle = [], RemoteModel._settle

    def count(model, run):
        at_once.append(len(run.sent))
        return settle(model, run)

    monkeypatch.setattr(RemoteModel, "_settle", count)
    with RemoteService(server.url, settings=Settings(client={"parallel_requests": number})) as service:
        assert len(list(service.iter_batch([lambda: picture] * 5))) == 5
    assert at_once[0] == max(at_once) == number


@shows("client.ca_file")
def test_certificates_are_checked_by_the_file(tmp_path):
    from napari_unetseg.client import check_server

    with pytest.raises(UnetsegError, match=r"client\.ca_file"):
        check_server("https://127.0.0.1:9", settings=Settings(client={"ca_file": tmp_path / "none.pem"}))


@shows("server.batch_wait_ms")
@pytest.mark.parametrize("milliseconds", [0, 250])
def test_a_batch_with_room_waits_so_long_for_those_on_their_way(bright_model, picture, monkeypatch, milliseconds):
    settings = Settings(server={"batch_wait_ms": milliseconds}, unet={"inference": {"batch_size": 2}})
    service = SegmentationService(bright_model, "cpu", settings=settings)
    line, waited = service._runner._lines.of(0), []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        line._on_their_way.clear()

    monkeypatch.setattr(line._changed, "wait", wait)
    line._on_their_way.add(-1)  # a thread that there is not
    assert service.segment(picture).count > 0
    assert [0 < seconds <= milliseconds / 1000 for seconds in waited] == [True] * bool(milliseconds)


def test_no_key_is_left_out():
    assert sorted(SHOWN) == sorted(dotted(key) for key, _ in fields(Settings))
