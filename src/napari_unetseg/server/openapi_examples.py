"""Answers as /openapi.json and /docs show them."""

from typing import Any

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAJElEQVR42mMUYU"
    "AFTAwkC7AwMDAwMJyAcCzIM4MMAUYRGhgKAPOHAUljpnixAAAAAElFTkSuQmCC"
)
"""A grey image of 16 x 16 pixels with a bright square, as requests send it."""


_IDENTITY = {"model_name": "nuclei", "model_variant": "standard", "device": "cuda"}
_REQUEST_ID = "5f1965fa-5172-4973-b35b-f0cf9f1af4c6"

SEGMENTATION: dict[str, Any] = {
    "success": True,
    "mask_data": PNG,
    "confidence_scores": {"overall_mean": 0.21, "mask_mean": 0.92, "background_mean": 0.03},
    "contours": [
        {
            "points": [[5.0, 4.0], [12.0, 4.0], [12.0, 11.0], [5.0, 11.0]],
            "area": 49.0,
            "bounding_box": {"x": 5, "y": 4, "width": 7, "height": 7},
            "label": 1,
        }
    ],
    "visualizations": None,
    "labels": None,
    "object_count": 1,
    "processing_time_ms": 150,
    "model_info": _IDENTITY,
    "warnings": [],
    "request_id": _REQUEST_ID,
}
BATCH: dict[str, Any] = {
    "success": True,
    "results": [
        SEGMENTATION,
        {
            "success": False,
            "mask_data": None,
            "error": {
                "code": "image_unreadable",
                "message": "image: the file is cut off; copy or export the image again.",
                "field": "image_data",
                "details": [],
            },
            "processing_time_ms": 0,
            "request_id": _REQUEST_ID,
        },
    ],
    "total_processing_time_ms": 250,
    "batch_size": 2,
    "request_id": _REQUEST_ID,
}
HEALTH: dict[str, Any] = {
    "service_healthy": True,
    "model_loaded": True,
    "memory_pools_ready": True,
    "gpu_available": True,
    "last_health_check": "2026-11-27T11:45:30+00:00",
    "model_info": _IDENTITY,
    "memory_usage": {"input_pool_utilization": 0.3, "output_pool_utilization": 0.2, "process_mb": 900.0},
    "capabilities": ["segmentation", "batch_processing", "confidence_scoring"],
    "details": {},
    "version": "1.0",
}
MODEL_INFO: dict[str, Any] = {
    "model_name": "nuclei",
    "model_variant": "standard",
    "checkpoint_path": "weights.safetensors",
    "model_parameters": 1_100_000,
    "input_shape": [1, 3, 928, 928],
    "output_shape": [1, 2, 928, 928],
    "device": "cuda",
    "architecture_details": {"model_type": "UNet", "base_channels": 16, "depth": 4, "use_attention": False},
    "preprocessing_config": {"image_size": None, "normalize": True, "mean": None, "std": None, "kind": "percentile"},
    "supported_formats": ["JPEG", "PNG", "BMP", "TIFF"],
    "details": {},
}
MODELS: dict[str, Any] = {
    "models": [
        {
            "name": "nuclei",
            "display_name": "Nuclei",
            "description": "Nuclei in fluorescence, stained tissue and bright-field images.",
            "weights_sha256": "4992227519ad1b0dff34047f6a07211c6f2e4d8cbb3d59af499cd3eeb74ce9ac",
            "is_default": True,
            "card": {},
        }
    ],
    "version": "1.0",
}
INITIALIZED: dict[str, Any] = {
    "success": True,
    "message": "Nuclei is ready on cuda.",
    "initialization_time_ms": 5000,
    "service_ready": True,
    "request_id": _REQUEST_ID,
}
PUBLISHED: dict[str, Any] = {
    "models": [
        {
            "name": "unet_spherohq",
            "display_name": "UNet (SpheroHQ Best)",
            "description": "Spheroids and other cell aggregates in light microscopy.",
            "parameters": 45_197_505,
            "image_size": [1024, 1024],
            "usable": False,
        }
    ]
}
_JOB_ID = "0f2d1c6e9b7a4c55a8e3d2f1b0c9e8d7"
JOB: dict[str, Any] = {
    "job_id": _JOB_ID,
    "state": "waiting",
    "progress": 0.0,
    "tiles_done": 0,
    "tiles_total": 0,
    "created": "2026-11-27T14:13:19+00:00",
    "expires": None,
    "error": None,
    "result_url": None,
    "request_id": _REQUEST_ID,
}
RUNNING_JOB: dict[str, Any] = JOB | {"state": "running", "progress": 0.25, "tiles_done": 16, "tiles_total": 64}
CANCELLED_JOB: dict[str, Any] = JOB | {"state": "cancelled", "expires": "2026-11-28T14:13:25+00:00"}
JOBS: dict[str, Any] = {"jobs": [RUNNING_JOB], "request_id": _REQUEST_ID}
