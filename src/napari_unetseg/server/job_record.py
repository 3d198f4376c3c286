"""What is known of a job, and why there may be none."""

from pydantic import BaseModel, ConfigDict

from napari_unetseg.api.models import ErrorDetail, JobState, SegmentChoices
from napari_unetseg.server.errors import ApiError


class NoRoomForJobs(ApiError):
    """There is no room for another job, or for a result."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "no_room_for_jobs", message, headers={"Retry-After": "600"})


class JobsUnavailable(ApiError):
    """The folder of the jobs cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "jobs_unavailable", message, headers={"Retry-After": "60"})


class Job(BaseModel):
    """How a job stands.

    Attributes
    ----------
    job_id
        32 hexadecimal digits, drawn at random.
    owner
        Id of the key that sent it; None where there are no keys.
    request_id
        Of the request that sent it; the result bears it, too.
    created, finished
        Seconds since 1970; `finished` is None until the job has come to an end.
    state
        How far it is.
    choices
        What is wanted of the image.
    media_type
        What the request said that the image is.
    error
        Why it failed.
    """

    model_config = ConfigDict(frozen=True)

    job_id: str
    owner: str | None
    request_id: str
    created: float
    finished: float | None = None
    state: JobState = "waiting"
    choices: SegmentChoices
    media_type: str | None = None
    error: ErrorDetail | None = None


class JobProgress(BaseModel):
    """Tiles that are done, of all that are known, and which part of the job that is; the part never shrinks."""

    done: int = 0
    total: int = 0
    part: float = 0.0
