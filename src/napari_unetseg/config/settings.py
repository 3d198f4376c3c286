"""Every setting: its name, its type, its default and what it does.

The names are those of the published `config.yaml`; `docs/configuration.md` explains them at length.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_state_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from napari_unetseg.config.environment import Variables


def _is_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not yes or no")
    return value


def _is_level(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _or_auto(value: Any) -> Any:
    return "auto" if value is None else value


def _is_device(value: str) -> str:
    if not re.fullmatch(r"auto|cuda(:\d+)?|mps|cpu", value):
        raise ValueError("Input should be 'auto', 'cuda', 'mps' or 'cpu', or one of several cards, such as 'cuda:1'")
    return value


def _at_home(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) else value


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_Whole = Annotated[int, BeforeValidator(_is_number)]
_Real = Annotated[float, BeforeValidator(_is_number)]
_Share = Annotated[_Real, Field(ge=0, le=1)]
_Positive = Annotated[_Real, Field(gt=0)]
_Side = Annotated[_Whole, Field(ge=16)]
_Folder = Annotated[Path, BeforeValidator(_at_home)]
_Channels = Field(min_length=1, max_length=3)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class ModelSettings(_Section):
    """Section `unet.model`: which network, and where it runs."""

    name: str | None = Field(
        None,
        description="Model to use: a name that 'napari-unetseg models' lists, or the path of a package or a "
        "checkpoint. null: the checkpoint in checkpoint_dir, or 'nuclei' if that is null too.",
    )
    checkpoint_dir: _Folder | None = Field(
        None,
        description="Folder of checkpoints (.pth, .pt, .ckpt, .safetensors) of your own; best goes before final, and "
        "final before the newest. Used where no model is named.",
    )
    model_variant: Literal["standard", "lightweight", "deep"] | None = Field(
        None,
        description="Which variant of the network to take from checkpoint_dir: its subfolder of that name, or the "
        "files with that word in their names. null: any.",
    )
    device: Annotated[str, AfterValidator(_is_device)] = Field(
        "auto",
        description="Where the network runs. auto: the first of cuda, mps and cpu that works. cuda:1 is one of several "
        "cards, which otherwise share folders and batches.",
    )
    fallback_to_cpu: bool = Field(
        True, description="Whether the CPU takes over, with a warning, where the device is missing or out of memory."
    )
    backend: Annotated[Literal["auto", "torch", "openvino", "onnxruntime"], BeforeValidator(_or_auto)] = Field(
        "auto", description="Runtime of the network. auto: the model card's, else the fastest of this machine."
    )
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        "auto",
        description="Arithmetic of the network. auto: bfloat16 where processor or GPU compute it and masks stay the "
        "same, float16 on older NVIDIA GPUs, else float32. int8 is for OpenVINO.",
    )
    compile: bool = Field(
        True,
        description="Whether the network is compiled in the background on an NVIDIA GPU, where Triton and a C "
        "compiler are there.",
    )
    eager_loading: bool = Field(
        False, description="Whether a service loads its model when it is made, not at its first image."
    )
    max_models_gb: _Positive = Field(
        4.0, description="Memory for loaded models in GB; the least recently used one is unloaded beyond it."
    )


class PreprocessingSettings(_Section):
    """Section `unet.preprocessing`: how images are prepared for a checkpoint, which has no card to say it."""

    image_size: tuple[_Side, _Side] | None = Field(
        None,
        description="Height and width to which images are stretched. null: as published for the network; for others, "
        "images keep their size.",
    )
    normalize: bool | None = Field(
        None,
        description="true: subtract mean and divide by std after mapping the pixel type's range to 0..1. false: map "
        "to 0..1 only. null: true if mean and std are given, else as published for the network.",
    )
    mean: Annotated[tuple[_Real, ...], _Channels] | None = Field(
        None, description="One number for all channels, or one for each. null: that of ImageNet."
    )
    std: Annotated[tuple[_Positive, ...], _Channels] | None = Field(
        None, description="As many numbers as mean has. null: that of ImageNet."
    )

    @model_validator(mode="after")
    def _paired(self) -> "PreprocessingSettings":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together: give both or neither")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError("mean and std must have as many numbers")
        if self.mean is not None and len(self.mean) == 2:
            raise ValueError("mean and std must have one number, or three")
        return self


class InferenceSettings(_Section):
    """Section `unet.inference`: how the network is run over an image."""

    batch_size: Annotated[_Whole, Field(ge=1, le=1024)] | None = Field(
        None,
        description="Tiles that the device works on at once. null: what 'napari-unetseg benchmark --save' found best, "
        "else 1 on a CPU and 4 on a GPU.",
    )
    window: Annotated[_Whole, Field(ge=32)] | None = Field(
        None,
        description="Largest side of a tile in pixels. null: what the benchmark found best, else the engine's.",
    )
    threshold: _Share | None = Field(
        None,
        description="Probability from which a pixel belongs to an object, for a model without a card. null: 0.5.",
    )
    enable_confidence: bool = Field(
        True, description="Whether results tell how sure the network is, of the image and of each object."
    )
    enable_batch_processing: bool = Field(
        True, description="Whether tiles of several images share a batch. false: images are segmented one by one."
    )


class MemorySettings(_Section):
    """Section `unet.memory`: buffers that are kept for the next image."""

    pool_size_multiplier: Annotated[_Whole, Field(ge=1)] = Field(
        10, description="Most buffers of one shape and type that are kept."
    )
    enable_gpu_pools: bool = Field(
        True, description="Whether buffers on a GPU are kept too; false: only those in the machine's memory are."
    )
    max_pool_size_gb: Annotated[_Real, Field(ge=0)] = Field(
        4.0, description="Most memory that kept buffers take, in GB; 0 keeps none."
    )
    keep_freed_memory: bool = Field(
        True,
        description="Whether, once PyTorch computes on the CPU, the process keeps memory that it frees until a model "
        "is unloaded: faster by a third, for 80 to 200 MB. Linux with glibc only.",
    )


class HealthSettings(_Section):
    """Section `unet.health`: what is checked, and how often."""

    startup_validation: bool = Field(
        True, description="Whether a model is checked when it is loaded; one that fails is not used."
    )
    dummy_inference_test: bool = Field(
        True, description="Whether a health check runs the network on a small test image."
    )
    known_answer_test: bool = Field(
        True,
        description="Whether a health check compares the answer to the image that is stored with the model, if any.",
    )
    health_check_interval: _Positive = Field(30.0, description="Seconds between two checks while the panel is visible.")
    slow_inference_ms: _Positive | None = Field(
        None, description="Milliseconds above which an image gets a warning with advice. null: never."
    )


class PostprocessingSettings(_Section):
    """Section `unet.postprocessing`: how probabilities become objects, for a model without a card."""

    min_size: Annotated[_Whole, Field(ge=0)] | None = Field(
        None, description="Objects of fewer pixels are dropped. null: 20."
    )
    split: _Share | None = Field(
        None, description="How readily touching objects are divided, 0 (never) to 1. null: 0.5."
    )
    fill_holes: bool | None = Field(None, description="Whether holes become part of their object. null: true.")


class WindowSettings(_Section):
    """Section `unet.window`: the dock widget in napari."""

    language: Literal["auto", "en", "cs", "de", "es", "fr", "zh_CN"] = Field(
        "auto", description="Language of the window and its messages. auto: napari's, else the system's."
    )


class LoggingSettings(_Section):
    """Section `unet.logging`: what is written to the log."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_is_level)] = Field(
        "INFO", description="Least important records that are written."
    )
    log_requests: bool = Field(
        False, description="Whether each call leaves a record: request id, image, size, model, objects, time."
    )
    enable_performance_logging: bool = Field(
        False, description="Whether each call leaves a record of its stages' times and memory."
    )


class UnetSettings(_Section):
    """Section `unet`."""

    model: ModelSettings = ModelSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    inference: InferenceSettings = InferenceSettings()
    memory: MemorySettings = MemorySettings()
    health: HealthSettings = HealthSettings()
    postprocessing: PostprocessingSettings = PostprocessingSettings()
    window: WindowSettings = WindowSettings()
    logging: LoggingSettings = LoggingSettings()

    def card_changes(self) -> dict[str, Any]:
        """Return the fields of a model card that these settings state, for a model that has no card.

        Returns
        -------
        dict
            ``normalisation``, ``image_size`` and ``parameters`` as a card has them; those that are not set
            are left out, and so are single decoder parameters.
        """
        preprocessing, changes = self.preprocessing, dict[str, Any]()
        if preprocessing.image_size is not None:
            changes["image_size"] = preprocessing.image_size
        if preprocessing.normalize is False:
            changes["normalisation"] = {"kind": "mean_std", "mean": (0.0,), "std": (1.0,)}
        elif preprocessing.mean is not None or preprocessing.normalize:
            mean, std = preprocessing.mean or IMAGENET_MEAN, preprocessing.std or IMAGENET_STD
            changes["normalisation"] = {"kind": "mean_std", "mean": mean, "std": std}
        parameters = {"threshold": self.inference.threshold, **self.postprocessing.model_dump()}
        given = {name: value for name, value in parameters.items() if value is not None}
        return changes | ({"parameters": given} if given else {})


class DevelopmentSettings(_Section):
    """Section `development`: help for finding faults."""

    enable_debug_endpoints: bool = Field(
        False, description="Whether 'napari-unetseg health --json' adds a dump of settings, variables and threads."
    )
    save_debug_outputs: bool = Field(
        False, description="Whether each run leaves its probability map, label image and settings in debug_output_dir."
    )
    debug_output_dir: _Folder = Field(
        user_state_path("napari-unetseg", appauthor=False) / "debug_outputs",
        description="Where to; each run makes a folder in it.",
    )


class ServerSettings(_Section):
    """Section `server`: what `napari-unetseg serve` answers to, and how much it takes on."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen at. The default one is heard on this machine alone; another one needs keys.",
    )
    port: Annotated[_Whole, Field(ge=0, le=65535)] = Field(8001, description="Port to listen at; 0: any free one.")
    require_keys: bool = Field(
        True,
        description="Whether every request needs a key ('napari-unetseg keys') where the address is not this machine's "
        "own. false: whoever reaches the port may use the server.",
    )
    keys_file: _Folder | None = Field(
        None, description="File of the keys, kept as hashes. null: keys.json in the configuration folder."
    )
    max_request_mb: _Positive = Field(256.0, description="Largest request, in MB.")
    max_megapixels: _Positive = Field(
        64.0, description="Largest image, all planes and channels together, in millions of values."
    )
    max_compression: _Positive = Field(
        1000.0, description="Most values that an image file may hold for each of its bytes."
    )
    max_batch: Annotated[_Whole, Field(ge=1)] = Field(64, description="Most images of one request.")
    queue_size: Annotated[_Whole, Field(ge=1)] = Field(
        64, description="Most images that are worked on or wait; requests beyond it are told to come again."
    )
    queue_megapixels: _Positive = Field(
        512.0, description="Most values of all images that are worked on or wait, in millions."
    )
    batch_wait_ms: Annotated[_Real, Field(ge=0, le=1000)] = Field(
        3.0, description="Milliseconds that a batch with room waits for images of other requests that are on their way."
    )
    measure_batch: bool = Field(
        True, description="Whether the batch size is measured at the first start, where no benchmark has saved one."
    )
    timeout_s: _Positive = Field(
        120.0, description="Seconds after which a request is given up. Jobs and runs of the window have no limit."
    )
    shutdown_s: _Positive = Field(30.0, description="Seconds that running requests have to end in at a stop.")
    rate_per_minute: Annotated[_Whole, Field(ge=1)] | None = Field(
        None, description="Most requests a minute of each key, or, without keys, of each address. null: no limit."
    )
    jobs_dir: _Folder = Field(
        user_state_path("napari-unetseg", appauthor=False) / "jobs",
        description="Where images and results of jobs are kept.",
    )
    jobs_keep_hours: _Positive = Field(24.0, description="Hours for which the result of a job is kept.")
    jobs_max_gb: _Positive = Field(20.0, description="Most room on disk for jobs, in GB.")
    audit_log: _Folder | None = Field(
        None, description="File that gets a JSON line for each request, without its pixels. null: the log has them."
    )


class ClientSettings(_Section):
    """Section `client`: how this machine speaks to a server."""

    server: str | None = Field(
        None, description="Address of the server whose models are used, such as http://lab:8001. null: this machine."
    )
    key: str | None = Field(
        None,
        description="Key for it. Better kept where other users cannot read it: the window keeps keys in the keyring.",
        repr=False,
    )
    connect_timeout_s: _Positive = Field(10.0, description="Seconds to wait for a server to answer at all.")
    parallel_requests: Annotated[_Whole, Field(ge=1, le=64)] = Field(
        4, description="Images of a batch that are with the server at once."
    )
    ca_file: _Folder | None = Field(
        None, description="Certificate (PEM) of the authority that signed the server's. null: those of the system."
    )


class Settings(BaseSettings):
    """All settings; what is not given comes from the environment, then from the defaults.

    `load_settings` reads the user's file too, and says where each value comes from.

    Raises
    ------
    pydantic.ValidationError
        If a key is unknown or a value is wrong.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    unet: UnetSettings = UnetSettings()
    server: ServerSettings = ServerSettings()
    client: ClientSettings = ClientSettings()
    development: DevelopmentSettings = DevelopmentSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables by their whole names, and neither `.env` nor secret files."""
        return init_settings, Variables(settings_cls)
