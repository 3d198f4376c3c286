"""What the server says about itself and its models, and loading them again."""

from typing import Any

from fastapi import APIRouter, Request

from napari_unetseg import __version__
from napari_unetseg.api.encodings import health_response, model_info_response
from napari_unetseg.api.models import (
    PREFIX,
    ApiModel,
    HealthResponse,
    InitializeRequest,
    InitializeResponse,
    ListedModel,
    ModelInfoResponse,
    ModelsResponse,
)
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.inference.tiling.plan import TILE
from napari_unetseg.server import openapi_examples as examples
from napari_unetseg.server.bodies import read_json_request
from napari_unetseg.server.context import ServerContext
from napari_unetseg.server.openapi import INITIALIZE_BODY, answers
from napari_unetseg.service.debug_outputs import debug_dump
from napari_unetseg.service.reports import Initialization
from napari_unetseg.zoo.published import PUBLISHED
from napari_unetseg.zoo.registry import usable_models


class PublishedModelEntry(ApiModel):
    """A published network; `usable` says whether this server has its weights."""

    name: str
    display_name: str
    description: str
    parameters: int
    image_size: tuple[int, int]
    usable: bool


class PublishedModelsResponse(ApiModel):
    """Answer to GET /api/v1/models."""

    models: list[PublishedModelEntry]


def service_router(context: ServerContext) -> APIRouter:
    """Return the routes that tell of the server and its models."""
    router = APIRouter(prefix=PREFIX, tags=["service"])

    @router.get("/health", responses=answers(examples.HEALTH, 404, 422))
    def health(model: str | None = None) -> HealthResponse:
        """Say how the service is doing, by what is known already of its model or another: no network runs for it."""
        return health_response(context.service.health(dummy_inference=False, model=context.known_model(model)))

    @router.get("/model-info", responses=answers(examples.MODEL_INFO, 404, 422, 503))
    def model_info(model: str | None = None) -> ModelInfoResponse:
        """Say what the server's model is, or another one."""
        window = context.settings.unet.inference.window or TILE
        return model_info_response(context.service.model_info(context.known_model(model)), window)

    @router.get("/models", responses=answers(examples.MODELS))
    def models() -> ModelsResponse:
        """List the models that requests may name, the server's own first."""
        own = context.service.package
        others = (package for package in usable_models() if package.name != own.name)
        return ModelsResponse(
            models=[
                ListedModel(
                    name=package.name,
                    display_name=package.card.display_name,
                    description=package.card.description,
                    weights_sha256=package.card.weights.sha256,
                    is_default=package is own,
                    card=package.card.model_dump(mode="json"),
                )
                for package in (own, *others)
            ],
            version=__version__,
        )

    @router.post(
        "/initialize",
        openapi_extra=INITIALIZE_BODY,
        responses=answers(examples.INITIALIZED, 400, 404, 413, 415, 422, 503),
    )
    async def initialize(request: Request) -> InitializeResponse:
        """Load a model now, or again; the one that was loaded before stays if that fails."""
        read = await read_json_request(request, InitializeRequest)

        def work(_cancel: CancelFlag) -> Initialization:
            wanted = read()
            model = context.known_model(wanted.model)
            return context.service.initialize(wanted.force_reload, wanted.warm_up, model=model)

        done = await context.workers.run(request, work)
        return InitializeResponse(
            message=done.message,
            initialization_time_ms=round(done.initialization_time_ms),
            service_ready=done.service_ready,
            request_id=request.state.request_id,
        )

    if context.settings.development.enable_debug_endpoints:

        @router.get("/debug")
        def debug() -> dict[str, Any]:
            """Dump the settings, the environment's variables and what each thread does; see `development`."""
            return debug_dump(context.settings)

    return router


def published_router(context: ServerContext) -> APIRouter:
    """Return GET /api/v1/models, by which the published networks are listed elsewhere."""
    router = APIRouter(tags=["service"])

    @router.get("/api/v1/models", responses=answers(examples.PUBLISHED))
    def published_models() -> PublishedModelsResponse:
        """List the published networks: what they are, and whether this server has their weights."""
        usable = {package.name for package in usable_models()} | {context.service.package.name}
        return PublishedModelsResponse(
            models=[
                PublishedModelEntry(
                    name=model.name,
                    display_name=model.display_name,
                    description=model.description,
                    parameters=model.parameters,
                    image_size=model.image_size,
                    usable=model.name in usable,
                )
                for model in PUBLISHED.values()
            ]
        )

    return router
