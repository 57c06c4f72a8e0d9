"""Agents of one's own: any torch module, with a table of its layers."""

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.agents.hooks import INPUT
from vrlprobe.agents.parts import PartedAgent
from vrlprobe.device import own_defaults
from vrlprobe.errors import FormatError, SampleError, UnknownLayerError
from vrlprobe.runs.architectures import register


def divided(observations: Tensor) -> Tensor:
    """Pixels (n, c, H, W), uint8, as float32 in [0, 1]."""
    return observations.float().div_(255.0)


def _image_shape(sizes: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(map(operator.index, np.atleast_1d(np.asarray(sizes))))
    if len(shape) != 3 or min(shape) < 1:
        raise FormatError(
            f"image_shape is channels of the whole stack, height and width, not {sizes}"
        )
    return shape


def _inside(place: str) -> str:
    """A place in the network as one in the agent; the input of all of it is the empty one."""
    path = place.removeprefix(INPUT)
    return place.removesuffix(path) + f"network.{path}" if path else ""


class ModuleAgent(PartedAgent):
    """A torch module as an agent.

    Args:
        network: takes images `(n, *image_shape)` as `prepare` makes them; in order to play, it
            gives the mean actions (n, n_actions) in [-1, 1].
        layers: name -> submodule whose output it is, as in `named_modules`; `in:head` is what the
            submodule `head` takes, and "" the input. The layer `action` is the output, which is
            not probed unless it is asked for.
        image_shape: of what it sees: channels of the whole stack, height, width.
        prepare: makes uint8 observations what the network takes; divides by 255 if not given.

    Raises:
        FormatError: an image's shape is not three sizes of at least 1.
        UnknownLayerError: the network has no such submodule, or none is named.
    """

    PARTS = ("network",)
    critic = None

    def __init__(
        self,
        network: nn.Module,
        layers: Mapping[str, str],
        image_shape: Sequence[int],
        prepare: Callable[[Tensor], Tensor] = divided,
    ) -> None:
        super().__init__()
        known = dict(network.named_modules())
        if not isinstance(layers, Mapping) or not layers:
            raise UnknownLayerError(
                f"layers map a name to a submodule, one at least ({{'conv1': '1'}}), not {layers!r}"
            )
        for name, place in layers.items():
            if (path := str(place).removeprefix(INPUT)) not in known:
                raise UnknownLayerError(
                    f"layer {name!r}: the network has no submodule {path!r}; there are "
                    f"{', '.join(path for path in known if path)}"
                )
        self.network = network
        self.layers = {name: _inside(place) for name, place in layers.items()}
        self.image_shape = _image_shape(image_shape)
        self._prepare = prepare

    @property
    def encoder(self) -> nn.Module:
        """What the images enter: the whole network."""
        return self.network

    def forward(self, observations: Tensor) -> Tensor:
        """The network's output for stacked uint8 observations `(n, *image_shape)`.

        Raises:
            SampleError: the network cannot take them.
        """
        try:
            output: Tensor = self.network(self._prepare(observations))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            shape = " x ".join(map(str, self.image_shape))
            raise SampleError(
                f"the network cannot take images of {shape} (image_shape) as prepare makes them: "
                f"{str(error).partition(chr(10))[0]}"
            ) from error
        return output


class OwnArchitecture:
    """Builds the agents of an architecture that `register_agent` made known."""

    def __init__(
        self,
        name: str,
        make: Callable[[], nn.Module],
        layers: Mapping[str, str],
        image_shape: Sequence[int],
        prepare: Callable[[Tensor], Tensor],
    ) -> None:
        self.__name__ = name
        self._make = make
        self._rest = (copy.copy(layers), image_shape, prepare)

    def from_config(self, config: Mapping[str, Any]) -> ModuleAgent:
        """An agent with the network as it is when it is made."""
        return ModuleAgent(self._make(), *self._rest)

    def from_parameters(self, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> ModuleAgent:
        """A checkpoint's agent; raises ValueError where the parameters do not fit."""
        with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten
            agent = self.from_config(config)
        agent.load_named_tensors(tensors)
        return agent


def register_agent(
    name: str,
    make: Callable[[], nn.Module],
    *,
    layers: Mapping[str, str],
    image_shape: Sequence[int],
    prepare: Callable[[Tensor], Tensor] = divided,
) -> None:
    """Make a network of one's own an architecture that runs can have, in this process.

    Its state dicts are then imported (`import_checkpoints(…, architecture=name)`), and their runs
    probed and measured. A package makes an architecture known for good by an entry point instead.

    Args:
        name: of the architecture.
        make: makes the network; a module's class will do.

    The other arguments are those of `ModuleAgent`.

    Raises:
        FormatError: the name is an installed architecture's, the network cannot be made, or it does
            not take an image of this shape.
        UnknownLayerError: the network has no such submodule, or none is named.
    """
    kind = OwnArchitecture(name, make, layers, image_shape, prepare)
    try:
        with torch.device("meta"):
            kind.from_config({})
            anew = make() is not make()
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise FormatError(f"the network {name!r} cannot be made: {error}") from error
    if not anew:
        raise FormatError(
            f"{name!r}: make must make a new network at each call, not give one that is there: "
            "checkpoints would share its parameters"
        )
    _try(kind)
    register(name, kind)


def _try(kind: OwnArchitecture) -> None:
    """Show a blank network one black image: what does not fit is said now, not in a long import."""
    with torch.random.fork_rng(devices=[]), own_defaults():
        agent = kind.from_config({}).eval()
        try:
            with torch.no_grad():
                agent(torch.zeros((1, *agent.image_shape), dtype=torch.uint8))
        except SampleError as error:
            raise FormatError(f"{kind.__name__!r}: {error}") from error
