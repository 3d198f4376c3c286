"""Whether the server lives, and whether to send it work: for Docker, Kubernetes and load balancers, without a key."""

from fastapi import APIRouter

from napari_unetseg.api.models import ApiModel, ErrorResponse
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.errors import RETRY_AFTER_S, ApiError


class ProbeResponse(ApiModel):
    """Answer to GET /livez and GET /readyz."""

    status: str


def probe_router(context: ServerContext) -> APIRouter:
    """Return GET /livez and GET /readyz, which tell what is known and compute nothing.

    A server that is being stopped need not say so: it takes no connections any more.
    """
    router = APIRouter(tags=["monitoring"])

    @router.get("/livez")
    async def livez() -> ProbeResponse:
        """Say that the process answers."""
        return ProbeResponse(status="alive")

    @router.get("/readyz", responses={503: {"model": ErrorResponse}})
    async def readyz() -> ProbeResponse:
        """Say whether requests are answered now: the model is loaded and checked, and there is room for an image."""
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        if context.startup.failure is not None:
            raise ApiError(503, "model_unusable", "The model cannot be loaded; the server's log says why.", None, retry)
        if not context.startup.ready:
            raise ApiError(503, "starting", "The model is being loaded.", None, retry)
        context.workers.check_room()
        return ProbeResponse(status="ready")

    return router
