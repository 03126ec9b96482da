"""What a denoiser is, and what the registry says about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from denoisers.vgg import VGG16
from noisegen.errors import InputError, RecipeError
from pipelines.tables import Table, first_problem

Verb = Literal["denoise", "enhance"]

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every tensor of a state dict, by its name."""


class Options(Table):
    """Settings of a model: a frozen value, unknown keys and values of another type are refused."""

    model_config = ConfigDict(strict=True)


def _counts(value: Any) -> Any:
    """Return several numbers as a tuple; they may be written "2,3,3,4"."""
    if isinstance(value, str):
        parts = value.split(",")
        return tuple(map(int, parts)) if all(p.strip().isdecimal() for p in parts) else value
    return tuple(value) if isinstance(value, list) else value


Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_counts)]
"""An option of several whole numbers from 1 on: a list, or text such as ``2,3,3,4``."""


class Denoiser(nn.Module):
    """A network that takes noise off pictures: (N, C, H, W) in, the same shape out, in [0, 1].

    It may return more, as a NamedTuple whose first is the restored picture (:func:`picture_of`).

    Attributes
    ----------
    multiple
        Height and width must be multiples of this; :mod:`denoisers.inference.padding` sees to it.
    draws
        Whether it draws random numbers in training.
    """

    multiple: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    strength: float | None = None
    """How far a network that makes dark pictures bright goes, 0 to 1; others have none."""

    vgg: tuple[VGG16, ...] = ()
    """What the loss compares pictures by, where it is given; no part of the network."""

    def begin(self, phase: str) -> None:
        """Let the weights of one phase of the training move, and no others.

        For networks whose page names phases; in training mode they return what the phase's loss
        takes.
        """
        raise NotImplementedError

    def with_maps(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the restored picture and the maps that the page names, in its order.

        For networks whose page names some; each map is (N, 1 or 3, H, W), 0 black and 1 white.
        """
        raise NotImplementedError

    def learn_from(self, teacher: "Denoiser | None") -> None:
        """Take a trained network whose outputs the loss compares with, before training begins.

        Parameters
        ----------
        teacher
            On the network's device; it is frozen.

        Raises
        ------
        RecipeError
            If the network learns from none, or from another kind, or needs one and gets none.
        """
        if teacher is not None:
            raise RecipeError(
                f"teacher: {type(self).__name__} learns from no other network; leave it away"
            )


def picture_of(outputs: Any) -> Tensor:
    """Return the restored picture among what a network returned."""
    found: Tensor = outputs if isinstance(outputs, Tensor) else outputs[0]
    return found


def check_sides(name: str, picture: Tensor, multiple: int) -> None:
    """Refuse a picture whose sides a network does not take.

    Parameters
    ----------
    name
        Of the network.
    picture
        (..., H, W).
    multiple
        Of what height and width must be.

    Raises
    ------
    InputError
        If one is not.
    """
    height, width = picture.shape[-2:]
    if height % multiple or width % multiple:
        raise InputError(
            f"{name} takes sides that are multiples of {multiple}, found {height}x{width}: pad "
            "the picture (denoisers.inference.padding) or crop it"
        )


def one_picture(options: Any, height: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Return the shape of a picture of as many channels as the option ``channels`` says."""
    return ((1, getattr(options, "channels", 3), height, width),)


def picture_and_guide(options: Any, height: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of a picture and of its guide, which has ``guide_channels``."""
    return *one_picture(options, height, width), (1, options.guide_channels, height, width)


@dataclass(frozen=True)
class ModelEntry:
    """A model's page in the registry.

    Parameters
    ----------
    name, title, paper
        What it is, and who published it.
    licence
        Terms of the published weights, in a few words.
    options
        The settings there are, with their defaults.
    make
        ``make(options) -> Denoiser``, freshly initialised; the options are checked.
    variants
        Published nets: name, and the options that differ from the defaults.
    keys
        Regular expressions that between them match every name of a published state dict, from its
        beginning to its end.
    infer
        Returns the options of the net that a state dict's shapes belong to. Raises LookupError or
        ValueError, with one line, where the shapes belong to none.
    inputs
        The corpus arrays that the net takes, in the order of its arguments.
    shapes
        ``shapes(options, height, width)`` returns those of the inputs for one picture; unless it is
        said otherwise there is one input, with as many channels as the option ``channels`` says.
    derived
        Regular expressions of names that published state dicts hold beside the weights, and that
        follow from the architecture: they are left aside.
    loss
        ``loss(network, outputs, batch)`` returns the (n,) loss of each sample, of what the network
        returned and the batch's tensors by name; without it the recipe's is taken, of the picture.
    develop
        ``develop(network, *inputs)`` returns the picture of mosaics as the network makes it. Where
        there is one, the network is trained on mosaics: its inputs, the first of which is a mosaic,
        are those of :func:`denoisers.training.mosaics.prepared`.
    phases
        Parts of the training, in turn, where the network is trained in parts; see
        :meth:`Denoiser.begin`.
    perceives
        Layers of VGG16, as torchvision counts them, that its loss compares where a recipe names a
        file of its weights.
    parts
        Where the published weights are several files: the folder that each part lies in, and what
        its names begin with in the whole.
    verb
        Command that runs it on picture files: it takes noise off, or makes dark pictures bright.
    maps
        What it makes on its way to the picture and can show, see :meth:`Denoiser.with_maps`.
    meaning
        Options that no weight's shape tells of, but without which weights mean something else.
    """

    name: str
    title: str
    paper: str
    licence: str
    options: type[Options]
    make: Callable[[Any], Denoiser]
    variants: Mapping[str, Mapping[str, Any]]
    keys: tuple[str, ...]
    infer: Callable[[Shapes], dict[str, Any]]
    inputs: tuple[str, ...] = field(default=("noisy",))
    shapes: Callable[[Any, int, int], tuple[tuple[int, ...], ...]] = one_picture
    derived: tuple[str, ...] = ()
    loss: Callable[[Any, Any, Mapping[str, Tensor]], Tensor] | None = None
    develop: Callable[..., Tensor] | None = None
    phases: tuple[str, ...] = ()
    perceives: tuple[int, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    verb: Verb = "denoise"
    maps: tuple[str, ...] = ()
    meaning: tuple[str, ...] = ()

    def check(self, options: Mapping[str, Any]) -> Options:
        """Return the options as a value, what is not there at its default.

        Raises
        ------
        RecipeError
            If an option is unknown or has a value that does not fit.
        """
        try:
            return self.options.model_validate(options)
        except ValidationError as error:
            known = ", ".join(self.options.model_fields)
            raise RecipeError(
                f"options of model '{self.name}': {first_problem(error, self.options)}; "
                f"it has: {known}"
            ) from None

    def guide_channels(self, options: Options) -> int:
        """Return the channels of the guide that the net takes; 0: it takes none."""
        shapes = self.shapes(options, 1, 1)
        pairs = zip(self.inputs, shapes, strict=False)
        return next((shape[1] for name, shape in pairs if name == "guide"), 0)

    def variants_of(self, options: Options) -> tuple[str, ...]:
        """Return the names of the published nets that have exactly these options."""
        return tuple(n for n, changed in self.variants.items() if self.check(changed) == options)


def convolution(shapes: Shapes, name: str) -> tuple[int, ...]:
    """Return the shape of a 2-D convolution's weight, for a page's ``infer``.

    Raises
    ------
    LookupError
        If there is no tensor of that name.
    ValueError
        If it has not four dimensions.
    """
    shape = shapes[name]
    if len(shape) != 4:
        raise ValueError(f"{name} has {len(shape)} dimensions, a convolution's weight 4")
    return shape
