"""Every example of the published guide, word for word, against a server process (only its port is another)."""

import shutil
import subprocess
import sys

import pytest
import requests

SEGMENT_ANSWER = {
    "success": True,
    "mask_data": "base64_encoded_mask",
    "confidence_scores": {"overall_mean": 0.85, "mask_mean": 0.92, "background_mean": 0.15},
    "contours": [
        {
            "points": [[1.0, 1.0], [2.0, 2.0]],
            "area": 1234.5,
            "bounding_box": {"x": 10, "y": 20, "width": 100, "height": 80},
        }
    ],
    "processing_time_ms": 150,
    "model_info": {"model_name": "unet", "model_variant": "standard", "device": "cuda"},
    "request_id": "uuid-string",
}
BATCH_ANSWER = {
    "success": True,
    "results": [{"success": True, "mask_data": "base64_encoded_mask", "processing_time_ms": 1, "request_id": "uuid"}],
    "total_processing_time_ms": 250,
    "batch_size": 2,
    "request_id": "uuid-string",
}
HEALTH_ANSWER = {
    "service_healthy": True,
    "model_loaded": True,
    "memory_pools_ready": True,
    "gpu_available": True,
    "last_health_check": "2025-06-18T11:45:30",
    "model_info": {"model_name": "unet", "model_variant": "standard", "device": "cuda"},
    "memory_usage": {"input_pool_utilization": 0.3, "output_pool_utilization": 0.2},
    "capabilities": ["segmentation", "batch_processing", "confidence_scoring"],
}
MODEL_INFO_ANSWER = {
    "model_name": "unet",
    "model_variant": "standard",
    "checkpoint_path": "/path/to/model.pth",
    "model_parameters": 7850000,
    "input_shape": [1, 3, 256, 256],
    "output_shape": [1, 1, 256, 256],
    "device": "cuda",
    "architecture_details": {"model_type": "AttentionUNet", "base_channels": 64, "depth": 4, "use_attention": True},
    "supported_formats": ["JPEG", "PNG", "BMP"],
}
INITIALIZE_ANSWER = {
    "success": True,
    "message": "U-Net service initialized successfully",
    "initialization_time_ms": 5000,
    "service_ready": True,
    "request_id": "uuid-string",
}

SCRIPT = """\
import requests
import time
import base64
from PIL import Image
import io

# Create test image
image = Image.new('RGB', (256, 256), color='red')
buffer = io.BytesIO()
image.save(buffer, format='PNG')
image_data = base64.b64encode(buffer.getvalue()).decode('utf-8')

# Benchmark single inference
start_time = time.time()
response = requests.post('http://localhost:8001/api/unet/segment', json={
    'image_data': image_data,
    'threshold': 0.5
})
end_time = time.time()

print(f"Inference time: {(end_time - start_time) * 1000:.2f}ms")
print(f"Service time: {response.json().get('processing_time_ms', 0)}ms")
"""


def assert_is_like(answer, published):
    """Every published name is there, nested and typed as published."""
    assert type(answer) is type(published), (answer, published)
    if isinstance(published, dict):
        for name, value in published.items():
            assert name in answer
            assert_is_like(answer[name], value)
    elif isinstance(published, list):
        assert answer
        for one in answer:
            assert_is_like(one, published[0])


@pytest.fixture
def base(server):
    """What the guide calls the base URL."""
    return f"{server.url}/api/unet"


@pytest.fixture(autouse=True, scope="module")
def _loaded(server):
    requests.post(f"{server.url}/api/unet/initialize", timeout=60).raise_for_status()


def test_segment(base, squares, as_text):
    request = {
        "image_data": as_text(squares),
        "threshold": 0.5,
        "return_confidence": False,
        "return_contours": False,
        "return_visualizations": False,
    }
    answer = requests.post(f"{base}/segment", json=request, timeout=60)
    assert answer.status_code == 200
    plain = {name: SEGMENT_ANSWER[name] for name in ("success", "mask_data", "processing_time_ms", "request_id")}
    assert_is_like(answer.json(), plain)
    assert answer.json()["contours"] is None
    full = request | {"return_confidence": True, "return_contours": True, "return_visualizations": True}
    answer = requests.post(f"{base}/segment", json=full, timeout=60)
    assert_is_like(answer.json(), SEGMENT_ANSWER)


def test_segment_batch(base, squares, as_text):
    request = {
        "images": [{"image_data": as_text(squares)}, {"image_data": as_text(squares[:20])}],
        "threshold": 0.5,
        "return_confidence": False,
        "return_contours": False,
        "return_visualizations": False,
    }
    answer = requests.post(f"{base}/segment-batch", json=request, timeout=60)
    assert answer.status_code == 200
    assert_is_like(answer.json(), BATCH_ANSWER)
    assert answer.json()["batch_size"] == 2


def test_health(base):
    answer = requests.get(f"{base}/health", timeout=60).json()
    assert_is_like(answer, HEALTH_ANSWER)
    assert set(HEALTH_ANSWER["capabilities"]) <= set(answer["capabilities"])


def test_model_info(base):
    answer = requests.get(f"{base}/model-info", timeout=60).json()
    assert_is_like(answer, MODEL_INFO_ANSWER)
    assert set(MODEL_INFO_ANSWER["supported_formats"]) <= set(answer["supported_formats"])
    assert answer["checkpoint_path"] == "weights.safetensors"
    assert {"image_size", "normalize", "mean", "std"} <= set(answer["preprocessing_config"])


def test_initialize(base):
    answer = requests.post(f"{base}/initialize", json={"force_reload": False, "warm_up": True}, timeout=60)
    assert answer.status_code == 200
    assert_is_like(answer.json(), INITIALIZE_ANSWER)


def test_the_script(server):
    port = server.url.rpartition(":")[2]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("8001", port)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first.startswith("Inference time: ")
    assert int(second.removeprefix("Service time: ").removesuffix("ms")) >= 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide's lines are of curl")
@pytest.mark.parametrize("name", ["health", "model-info"])
def test_the_lines_of_curl(server, name):
    line = ["curl", f"http://localhost:8001/api/unet/{name}".replace("8001", server.url.rpartition(":")[2])]
    run = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0
    assert '"model_name":"bright"' in run.stdout
