"""Requests and answers of the HTTP API: those of the published service by name, nesting and type, and what goes beyond.

Clients that know only the published ones need send no other field, and find every one of theirs in the answers.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from napari_unetseg.segment_options import SegmentOptions

PREFIX = "/api/unet"
"""Path under which the published service and this one answer."""

JobState = Literal["waiting", "running", "done", "failed", "cancelled", "interrupted"]
"""``"interrupted"``: the server stopped while it ran, and nothing came of it."""


class ApiModel(BaseModel):
    """A base of answers; clients pass over fields that they do not know."""

    model_config = ConfigDict(protected_namespaces=(), ser_json_inf_nan="null")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class SegmentChoices(SegmentOptions):
    """What a request may ask of each of its images: every parameter of `segment`, and what is to be in the answer."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str | None = Field(
        None, max_length=200, description="Name of a model that GET /models lists; null: the server's own."
    )
    scene: Annotated[str, Field(max_length=200)] | Annotated[int, Field(ge=0, strict=True)] | None = Field(
        None, description="Name or number, from 0, of a scene of a microscope's file that holds several."
    )
    return_confidence: StrictBool = Field(False, description="Whether to tell how sure the network is.")
    return_contours: StrictBool = Field(False, description="Whether to give the outline of each object.")
    return_visualizations: StrictBool = Field(False, description="Whether to give pictures to look at.")
    return_labels: StrictBool = Field(False, description="Whether to give the label image: a number for each object.")

    def segment_options(self) -> dict[str, Any]:
        """Return the keyword arguments of `SegmentationService.segment`, without the model."""
        return self.model_dump(include=set(SegmentOptions.model_fields))


class SegmentationRequest(SegmentChoices):
    """Body of POST /segment."""

    image_data: str = Field(description="The image file (PNG, JPEG, BMP or TIFF) in base64; line breaks are skipped.")


class BatchImage(_Request):
    """One image of POST /segment-batch."""

    image_data: str = Field(description="The image file in base64.")


class BatchRequest(SegmentChoices):
    """Body of POST /segment-batch."""

    images: list[BatchImage] = Field(min_length=1, description="The images; each gives a result, in this order.")


class InitializeRequest(_Request):
    """Body of POST /initialize."""

    force_reload: StrictBool = Field(False, description="Whether to read the model from disk again.")
    warm_up: StrictBool = Field(True, description="Whether to run the network once.")
    model: str | None = Field(None, max_length=200, description="Which model; null: the server's own.")


class FieldFault(ApiModel):
    """What is wrong with one field of a request."""

    field: str = Field(description="Its name, nested ones with dots: images.0.image_data.")
    message: str


class ErrorDetail(ApiModel):
    """Why a request, or one image of a batch, failed."""

    code: str = Field(description="A word for programs, such as invalid_request, image_unreadable or queue_full.")
    message: str = Field(description="A sentence for people.")
    field: str | None = Field(None, description="The field that is wrong, where it is one.")
    details: list[FieldFault] = Field(default_factory=list, description="All fields that are wrong.")


class ErrorResponse(ApiModel):
    """Body of every answer with a status of 400 or more."""

    success: Literal[False] = False
    error: ErrorDetail
    request_id: str


class ModelIdentityResponse(ApiModel):
    """Which model answered, and where it runs."""

    model_name: str
    model_variant: str
    device: str | None


class ConfidenceScores(ApiModel):
    """Mean foreground probability of the image, its objects and its background, 0 to 1; 0 for one without pixels."""

    overall_mean: float
    mask_mean: float
    background_mean: float


class BoundingBox(ApiModel):
    """In pixels, from the upper left corner."""

    x: int
    y: int
    width: int
    height: int


class ContourResponse(ApiModel):
    """Outline of one object.

    `points` run along the edges of pixels, (0, 0) being the upper left corner of the image; `area` is the number of
    its pixels.
    """

    points: list[tuple[float, float]] = Field(description="x and y of each corner.")
    area: float
    bounding_box: BoundingBox
    label: int = Field(description="Number of the object in the label image.")


class Visualizations(ApiModel):
    """Pictures to look at, each a PNG in base64."""

    overlay: str
    confidence_heatmap: str
    contours: str


class LabelImage(ApiModel):
    """A label image without loss."""

    format: Literal["png16", "zlib_int32"] = Field(
        description="png16: a 16-bit PNG. zlib_int32, above 65,535 objects: rows of little-endian int32, by zlib."
    )
    data: str = Field(description="In base64.")
    shape: tuple[int, int] = Field(description="Height and width.")
    count: int = Field(description="Number of objects.")


class SegmentationResponse(ApiModel):
    """Answer to POST /segment, and each result of POST /segment-batch."""

    success: Literal[True] = True
    mask_data: str = Field(description="Mask of the size of the image: an 8-bit PNG of 0 and 255, in base64.")
    confidence_scores: ConfidenceScores | None = None
    contours: list[ContourResponse] | None = None
    visualizations: Visualizations | None = None
    labels: LabelImage | None = None
    object_count: int
    processing_time_ms: int
    model_info: ModelIdentityResponse
    warnings: list[str] = Field(default_factory=list, description="Sentences that the user should read.")
    request_id: str


class BatchFailure(ApiModel):
    """The place of an image that failed in the results of POST /segment-batch."""

    success: Literal[False] = False
    mask_data: None = None
    error: ErrorDetail
    processing_time_ms: int = 0
    request_id: str


BatchResult = Annotated[SegmentationResponse | BatchFailure, Field(union_mode="left_to_right")]


class BatchResponse(ApiModel):
    """Answer to POST /segment-batch; `success` says that it was worked on, each result how that went."""

    success: bool
    results: list[BatchResult]
    total_processing_time_ms: int
    batch_size: int
    request_id: str


class HealthResponse(ApiModel):
    """Answer to GET /health."""

    service_healthy: bool
    model_loaded: bool
    memory_pools_ready: bool
    gpu_available: bool
    last_health_check: str | None
    model_info: ModelIdentityResponse
    memory_usage: dict[str, float | int | None] = Field(description="input_pool_utilization and so on; see docs.")
    capabilities: list[str]
    details: dict[str, Any] = Field(description="All that the service knows of its health.")
    version: str = Field(description="Version of the server.")


class ModelInfoResponse(ApiModel):
    """Answer to GET /model-info."""

    model_name: str
    model_variant: str
    checkpoint_path: str = Field(description="Name of the file of the weights, without its folder.")
    model_parameters: int
    # Lists, as schemathesis 4.32 trips over tuples here.
    input_shape: list[int] = Field(
        min_length=4,
        max_length=4,
        description="(N, C, H, W). Where any size is taken, H and W are those of the largest window.",
    )
    output_shape: list[int] = Field(min_length=4, max_length=4)
    device: str
    architecture_details: dict[str, Any]
    preprocessing_config: dict[str, Any]
    supported_formats: list[str]
    details: dict[str, Any] = Field(description="All that the service knows of the model, its card among it.")


class InitializeResponse(ApiModel):
    """Answer to POST /initialize."""

    success: Literal[True] = True
    message: str
    initialization_time_ms: int
    service_ready: bool
    request_id: str


class ListedModel(ApiModel):
    """A model that requests may name."""

    name: str
    display_name: str
    description: str
    weights_sha256: str
    is_default: bool
    card: dict[str, Any] = Field(description="The whole model card.")


class ModelsResponse(ApiModel):
    """Answer to GET /models."""

    models: list[ListedModel]
    version: str = Field(description="Version of the server.")


class JobResponse(ApiModel):
    """How a job stands: answer to POST /jobs and to GET and DELETE /jobs/{job_id}."""

    job_id: str
    state: JobState
    progress: float = Field(ge=0, le=1, description="Part of the tiles that are done.")
    tiles_done: int
    tiles_total: int
    created: str = Field(description="ISO 8601 time.")
    expires: str | None = Field(description="ISO 8601 time after which the result is deleted; null before it is there.")
    error: ErrorDetail | None = None
    result_url: str | None = Field(None, description="Where the result is, once it is there.")
    request_id: str


class JobsResponse(ApiModel):
    """Answer to GET /jobs."""

    jobs: list[JobResponse] = Field(description="The jobs of this key, in the order of their arrival.")
    request_id: str
