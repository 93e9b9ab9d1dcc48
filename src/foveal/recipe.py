"""Everything that decides a result, frozen and validated. The named ones are in `foveal.recipes`."""

from difflib import get_close_matches
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from foveal.errors import RecipeError

__all__ = ["InputContract", "Recipe", "recipe_from"]


class InputContract(BaseModel):
    """What a net takes, and how an image becomes that. Training, export and serving all read this one record."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    height: int = Field(ge=1, description="pixels")
    width: int = Field(ge=1, description="pixels")
    channels: Literal[1, 3] = Field(description="1 gray, 3 RGB")
    resize: Literal["stretch", "crop", "pad"] = Field(
        default="crop",
        description="stretch to size; shorter side to size and crop the centre; longer side to size and pad",
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(default="bilinear", description="antialiased when shrinking")
    mean: tuple[float, ...] = Field(
        default=(0.0,), description="subtracted from pixel / 255, one for all channels or one each"
    )
    std: tuple[float, ...] = Field(
        default=(1.0,), description="divides after the mean, one for all channels or one each"
    )

    @model_validator(mode="after")
    def _one_or_each(self) -> Self:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(f"{name} has {len(getattr(self, name))} values, expected 1 or {self.channels}")
        if not all(value > 0 for value in self.std):
            raise ValueError(f"std must be positive, got {self.std}")
        return self


class Recipe(BaseModel):
    """Everything that decides a result, besides the images themselves. JSON in a run's `recipe.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(description="the named recipe this came from")
    task: str = Field(default="classification", description="a name in `foveal.tasks.TASKS`")
    net: str = Field(description="the network in one line, without input and output layers")
    input: InputContract = Field(description="what the net takes, and how an image becomes that")
    init: Literal["glorot", "he", "dirac"] = Field(
        default="he",
        description="initial weights: Glorot uniform (Keras' default), He normal, or convolutions that pass their "
        "input on; biases zero",
    )
    norm_momentum: float = Field(
        default=0.1, gt=0, le=1, description="share of the newest batch in batch norm's running means and variances"
    )
    weights: str | None = Field(
        default=None,
        description="weights that a backbone begins with: `pretrained` for those of its name (from $FOVEAL_WEIGHTS or "
        "the Hugging Face hub), the path of a safetensors file, or none: from scratch",
    )
    begin: str | None = Field(
        default=None, description="SHA-256 of the weights of another run that the network begins with, as a whole"
    )
    probe: bool = Field(
        default=False,
        description="begin with the output layer that fits the body's features of the training images best",
    )
    frozen: float = Field(
        default=0.0, ge=0, le=1, description="share of a backbone's layers, from the first, that training leaves alone"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="learning rate of a backbone's layer over that of the next one"
    )
    still_norms: bool = Field(
        default=False, description="batch norm of a backbone keeps the means and variances that it came with"
    )
    epochs: int | float = Field(
        ge=0,
        le=100_000,
        description="passes over the training images; the last may be a part of one; 0 only after a probe",
    )
    batch_size: int = Field(ge=1, le=1_000_000, description="images a step")
    validation: float | None = Field(
        gt=0, lt=1, description="share of the non-test images held out for validation; none: the source's own split"
    )
    test: float | None = Field(gt=0, lt=1, description="share of all images held out for test; none: the source's own")
    optimizer: Literal["adam", "sgd", "muon"] = Field(
        default="adam", description="Adam; SGD with Nesterov momentum; or Muon, with SGD for what is no hidden matrix"
    )
    learning_rate: float = Field(gt=0, description="the largest of the schedule")
    head_learning_rate: float | None = Field(default=None, gt=0, description="of the output layer, where it is another")
    norm_learning_rate: float | None = Field(
        default=None, gt=0, description="of biases and normalisation, where it is another"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Adam's β₁, SGD's or Muon's momentum")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam's β₂")
    epsilon: float = Field(default=1e-7, gt=0, description="Adam's ε")
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        description="on weights of two or more dimensions; decoupled for Adam (AdamW), L2 for SGD; with Muon decoupled "
        "and on the output layer alone",
    )
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="of the learning rate, to zero"
    )
    warmup: float = Field(
        default=0.0, ge=0, lt=1, description="share of all steps in which the learning rate rises linearly"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all labels")
    loss: Literal["auto", "squared", "huber"] = Field(
        default="auto", description="of values: squared error, or Huber's, which outliers move less (auto)"
    )
    crop: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="train on random parts of the image, of at least this share of its area, resized to the input",
    )
    colour: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="change brightness, contrast and saturation at random by up to so much, and hue by a tenth of it",
    )
    zoom: float = Field(
        default=1.0,
        ge=1,
        le=4,
        description="where targets say where: show scenes smaller, too, by up to so many times, on gray",
    )
    mosaic: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="where targets say where: share of the images that are put together from parts of four",
    )
    mosaic_until: float = Field(
        default=1.0, gt=0, le=1, description="share of the steps after which there are no more mosaics"
    )
    randaugment: int = Field(default=0, ge=0, le=10, description="operations of RandAugment that each image gets")
    mixup: float = Field(default=0.0, ge=0, description="α of mixup: pairs of images are blended, and so is their loss")
    cutmix: float = Field(
        default=0.0, ge=0, description="α of CutMix: a box of one image is pasted into another, and the loss is shared"
    )
    flip: bool = Field(
        default=False, description="mirror left and right: half of the images in an epoch, the other half in the next"
    )
    translate: int = Field(default=0, ge=0, description="shift at random by up to so many pixels, edges repeated")
    cutout: int = Field(default=0, ge=0, description="side of a square that is grayed at random, pixels; 0: none")
    growth: tuple[tuple[float, float], ...] = Field(
        default=(),
        description="train on smaller images first: (until this share of the steps, at this share of the side), …; "
        "the rest at full size",
    )
    pace: tuple[tuple[int, int], ...] = Field(
        default=(),
        description="corrections that kept a training within its minutes: (from this step on, steps in all), …",
    )
    mirror_test: bool = Field(default=False, description="answer with the mean over the image and its mirror image")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="of convolutions and products in training; auto: bf16 where the device is made for it",
    )
    kernels: Literal["auto", "torch", "fused"] = Field(
        default="auto",
        description="what pools, normalises and rectifies in training: torch, one after the other, or on a CPU in bf16 "
        "compiled parts that do all at once; auto: these where training is long enough to load them",
    )
    validate_every: int = Field(
        default=1, ge=1, description="epochs from one validation and checkpoint to the next; the last one has its own"
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="weights of the last epoch, or of the best: validation score, ties by validation loss",
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a better one on validation"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="of split, initial weights, order, augmentation and dropout"
    )

    @field_validator("epochs")
    @classmethod
    def _plain(cls, epochs: float) -> int | float:
        return int(epochs) if epochs == int(epochs) else epochs

    @model_validator(mode="after")
    def _trains(self) -> Self:
        if self.epochs == 0 and not self.probe:
            raise ValueError("epochs must be above 0, unless probe is true: nothing would be learned")
        if self.mixup and self.cutmix:
            raise ValueError("mixup and cutmix are two ways to do the same: choose one")
        return self

    @field_validator("growth")
    @classmethod
    def _growing(cls, growth: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        ends = [until for until, _ in growth]
        if ends != sorted(set(ends)) or not all(0 < number <= 1 for pair in growth for number in pair):
            raise ValueError("expected shares above 0 and at most 1, the first of each pair rising")
        return growth

    @field_validator("pace")
    @classmethod
    def _forward(cls, pace: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        steps = [step for step, _ in pace]
        if steps != sorted(set(steps)) or not all(0 < step < total for step, total in pace):
            raise ValueError("expected rising steps, each below its number of steps in all")
        return pace

    def changed(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed, validated again.

        Args:
            changes: by name; `input.height` and its like reach into the input contract.

        Raises:
            RecipeError: an unknown field or an impossible value, named with what is allowed.
        """
        fields = self.model_dump()
        for name, value in changes.items():
            outer, _, inner = name.partition(".")
            if inner and isinstance(fields.get(outer), dict):
                fields[outer][inner] = value
            else:
                fields[name] = value
        return recipe_from(fields)


def recipe_from(fields: dict[str, Any]) -> Recipe:
    """A validated recipe.

    Raises:
        RecipeError: with one line a wrong field.
    """
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        lines = [_one_line(problem) for problem in error.errors()]
        raise RecipeError(
            "The recipe does not hold:\n" + "\n".join(lines), remedy="See `foveal train --help`."
        ) from None


def _one_line(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        names = [*Recipe.model_fields, *(f"input.{name}" for name in InputContract.model_fields)]
        close = get_close_matches(field, names, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}?" if close else f"the fields are {', '.join(names)}"
        return f"  {field}: no such field; {meant}"
    if not field:
        return f"  {problem['msg'].removeprefix('Value error, ')}"
    return f"  {field}: {problem['msg']}, got {problem['input']!r}"
