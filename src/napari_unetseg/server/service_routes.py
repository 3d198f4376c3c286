"""What the server says about itself and its models."""

from datetime import datetime

from fastapi import APIRouter

from napari_unetseg import __version__
from napari_unetseg.api.models import PREFIX, HealthResponse, ModelIdentityResponse
from napari_unetseg.server.context import ServerContext
from napari_unetseg.service.reports import Health


def service_router(context: ServerContext) -> APIRouter:
    """Return GET /health, which only tells what is known: no network runs for it."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/health", tags=["service"])
    def health() -> HealthResponse:
        """Say how the service is doing."""
        return _health_response(context.service.health(dummy_inference=False))

    return router


def _health_response(report: Health) -> HealthResponse:
    usage = report.as_dict()["memory_usage"]
    identity = report.model_info
    return HealthResponse(
        service_healthy=report.service_healthy,
        model_loaded=report.model_loaded,
        memory_pools_ready=report.memory_pools_ready,
        gpu_available=bool(report.gpu_available),
        last_health_check=report.last_health_check or datetime.now().isoformat(timespec="seconds"),
        model_info=ModelIdentityResponse(
            model_name=identity.model_name, model_variant=identity.model_variant, device=identity.device
        ),
        memory_usage=usage,
        capabilities=list(report.capabilities),
        details=report.as_dict(),
        version=__version__,
    )
