from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from napari_unetseg.server.metrics import Metrics, metrics_router
from napari_unetseg.service.reports import Health, MemoryUsage, ModelIdentity


def samples(metrics):
    """Value of each sample by name and labels, as Prometheus reads them."""
    from prometheus_client import generate_latest

    text = generate_latest(metrics.registry).decode() if isinstance(metrics, Metrics) else metrics
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(app):
    return samples(app.state.context.metrics)


def requests_of(app):
    return {
        tuple(value for _, value in labels): count
        for (name, *labels), count in counted(app).items()
        if name == "unetseg_requests_total"
    }


def test_requests_are_counted_by_method_route_and_status(client_of, make_app):
    app = make_app()
    client = client_of(app)
    for number in range(5):
        client.get(f"/api/unet/jobs/{number}")
    client.get("/api/unet/defect")
    assert requests_of(app) == {
        ("GET", "/api/unet/jobs/{job_id}", "200"): 5,
        ("GET", "/api/unet/defect", "500"): 1,
    }
    found = counted(app)
    assert found["unetseg_request_seconds_count", ("route", "/api/unet/jobs/{job_id}")] == 5
    assert found["unetseg_failures_total", ("code", "internal_error")] == 1
    assert found["unetseg_images_total", ("model", "nuclei")] == 5
    assert found["unetseg_objects_total", ("model", "nuclei")] == 85


def test_no_label_takes_what_a_client_makes_up(client_of, make_app):
    app = make_app()
    client = client_of(app)
    for number in range(20):
        client.get(f"/made/up/{number}")
        client.request(f"MADE{number}", f"/made/up/{number}")
        client.get("/docs", headers={"X-Request-ID": str(number)})
    assert {labels[:2] for labels in requests_of(app)} == {("GET", "other"), ("other", "other")}


def test_refusals_are_counted(client_of, make_app, tmp_path):
    app = make_app(host="0.0.0.0", keys_file=tmp_path / "keys.json")
    client_of(app).get("/api/unet/health")
    assert requests_of(app) == {("GET", "other", "401"): 1}
    assert counted(app)["unetseg_failures_total", ("code", "key_missing")] == 1


def test_apps_in_one_process_do_not_mix(client_of, make_app):
    one, other = make_app(), make_app()
    client_of(one).get("/api/unet/health")
    assert len(requests_of(one)) == 1
    assert requests_of(other) == {}


def test_an_image_without_known_objects_counts_as_one():
    metrics = Metrics()
    metrics.image_done("cells")
    metrics.image_done("cells", 0)
    found = samples(metrics)
    assert found["unetseg_images_total", ("model", "cells")] == 2
    assert found["unetseg_objects_total", ("model", "cells")] == 0


@pytest.fixture
def context():
    """A server on a GPU with something to do."""
    identity = ModelIdentity("nuclei", "standard", "cuda")
    health = Health(
        service_healthy=True,
        model_loaded=True,
        memory_pools_ready=True,
        gpu_available=True,
        last_health_check=None,
        model_info=identity,
        memory_usage=MemoryUsage(process_mb=300.0, device_mb=1024.0),
        backend="torch",
        precision="float32",
    )
    asked = []
    return SimpleNamespace(
        asked=asked,
        service=SimpleNamespace(health=lambda **options: asked.append(options) or health, waiting=4),
        workers=SimpleNamespace(running=3, waiting=2),
        startup=SimpleNamespace(ready=True),
        settings=SimpleNamespace(server=SimpleNamespace(queue_size=64)),
        metrics=Metrics(),
        jobs=SimpleNamespace(store=SimpleNamespace(waiting=lambda: ["a", "b"])),
    )


def test_the_page_is_what_prometheus_reads_and_tells_how_the_server_stands(context):
    app = FastAPI()
    app.include_router(metrics_router(context))
    answer = TestClient(app).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    gauges = {name: value for (name, *labels), value in found.items() if not labels}
    assert gauges == {
        "unetseg_ready": 1,
        "unetseg_queue_running": 3,
        "unetseg_queue_waiting": 2 + 4,
        "unetseg_queue_limit": 64,
        "unetseg_jobs_waiting": 2,
        "unetseg_model_loaded": 1,
        "process_resident_memory_bytes": 300 * 2**20,
        "unetseg_device_memory_bytes": 2**30,
    }
    (info,) = [dict(labels) for name, *labels in found if name == "unetseg_server_info"]
    assert info.pop("version")
    assert info == {"model": "nuclei", "device": "cuda", "backend": "torch", "precision": "float32"}


def test_no_network_runs_for_the_figures(context):
    app = FastAPI()
    app.include_router(metrics_router(context))
    assert context.asked == []
    TestClient(app).get("/metrics")
    assert context.asked == [{"dummy_inference": False}]


def test_a_folder_of_jobs_that_cannot_be_read_takes_no_other_figure_away(context):
    def fail():
        raise PermissionError

    context.jobs.store.waiting = fail
    context.metrics.watch(context)
    found = samples(context.metrics)
    assert ("unetseg_jobs_waiting",) not in found
    assert found["unetseg_model_loaded",] == 1
