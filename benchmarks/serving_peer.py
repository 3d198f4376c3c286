"""The plainest server of a network that FastAPI and PyTorch make, as the authors of the published guide wrote theirs.

A ``def`` endpoint, which FastAPI runs in its pool of threads; eager float32; PyTorch's own number of threads; Pillow
for PNG; a cut at the threshold, and no objects. Network, weights and normalisation are those of our model, and the
image keeps its size, so that it answers with (nearly) the same mask. It is what `serving.py` compares with, and nothing
to deploy.

Run with the name of a model; it prints its address once it listens.
"""

import base64
import io
import socket
import sys
import time
import uuid
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from PIL import Image as PillowImage
from pydantic import BaseModel

from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import ModelPackage, find_model


class Request(BaseModel):
    """Body of POST /api/unet/segment, as published."""

    image_data: str
    threshold: float = 0.5
    return_confidence: bool = False
    return_contours: bool = False
    return_visualizations: bool = False


def make_app(package: ModelPackage) -> FastAPI:
    """Load the network and return the app with its one endpoint."""
    app, network = FastAPI(), load_network(package).eval()

    @app.post("/api/unet/segment")
    def segment(request: Request) -> dict[str, Any]:
        began = time.perf_counter()
        pixels = np.asarray(PillowImage.open(io.BytesIO(base64.b64decode(request.image_data))))
        array = normalise(Image(pixels), package.card.normalisation, package.card.input_channels).array
        with torch.no_grad():
            probabilities = torch.sigmoid(network(torch.from_numpy(array[None])))[0, 0].numpy()
        mask = (probabilities >= request.threshold).astype(np.uint8) * 255
        buffer = io.BytesIO()
        PillowImage.fromarray(mask).save(buffer, format="PNG")
        return {
            "success": True,
            "mask_data": base64.b64encode(buffer.getvalue()).decode(),
            "processing_time_ms": round(1000 * (time.perf_counter() - began)),
            "model_info": {"model_name": package.name, "model_variant": "standard", "device": "cpu"},
            "request_id": str(uuid.uuid4()),
        }

    return app


def main() -> None:
    """Listen at a free port of the loopback address."""
    app = make_app(find_model(sys.argv[1]))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        sys.stdout.write(f"Listening on {address} ({torch.get_num_threads()} threads)\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
