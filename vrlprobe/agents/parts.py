"""What the architectures here share: networks in named parts, and parameters by 'part/name'."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.agents.base import check_observations
from vrlprobe.device import device_of, full_products, read_only
from vrlprobe.errors import SampleError


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout and batch normalisation as in evaluation, full products; all is left as it was."""
    training = [part for part in module.modules() if part.training]
    if training:  # setting every submodule takes a third of an action's time
        module.eval()
    try:
        with full_products():
            yield
    finally:
        for part in training:
            part.training = True


class PartedAgent(nn.Module):
    """An agent whose parts are modules of its own, an encoder and an actor among them.

    A subclass says how it is made of a config (`from_config`) and what enters it (`normalise`).
    """

    PARTS: ClassVar[tuple[str, ...]]
    """Attributes that hold a part, each under its name in run files."""
    encoder: Any
    actor: Any
    layers: Mapping[str, str]
    image_shape: tuple[int, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """An agent with blank networks of the sizes that a run's config states."""
        raise NotImplementedError

    @classmethod
    def from_parameters(
        cls, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray | Tensor]
    ) -> Self:
        """A checkpoint's agent: networks of the config's sizes with the parameters given.

        A part that they lack is None; there must be encoder and actor.

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: the config has no such sizes, or the
                parameters do not fit them. Found out before memory is taken: both may come from a
                stranger's file.
        """
        with torch.device("meta"):  # nothing is drawn, either
            agent = cls.from_config(config)
            given = {name.partition("/")[0] for name in tensors}
            if missing := [part for part in ("encoder", "actor") if part not in given]:
                raise ValueError(f"the parameters have no {missing[0]}")
            for part in set(cls.PARTS) - given:
                setattr(agent, part, None)
            agent.load_named_tensors(
                {name: torch.empty(tuple(tensor.shape)) for name, tensor in tensors.items()}
            )
        agent.to_empty(device="cpu").load_named_tensors(tensors)
        return agent.eval()

    @staticmethod
    def normalise(observations: Tensor) -> Tensor:
        """Pixels as the network takes them."""
        raise NotImplementedError

    def forward(self, observations: Tensor) -> Tensor:
        """The actor's output (n, action_dim) for stacked uint8 observations (n, *image_shape)."""
        output: Tensor = self.actor(self.encoder(self.normalise(observations)))
        return output

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        """The evaluation policy, without noise.

        Args:
            observations: stacked uint8 images, (n_samples, *image_shape).

        Returns:
            float32 (n_samples, action_dim), the actor's output.

        Raises:
            SampleError: the observations do not have the shape or type that the agent takes, or
                there are none; or its output has another shape.
        """
        check_observations(self, observations)
        seen = read_only(observations).to(device_of(self))
        with evaluating(self):
            output = self(seen)
        shape = getattr(output, "shape", None)
        if shape is None or len(shape) != 2 or shape[0] != len(seen):
            found = type(output).__name__ if shape is None else tuple(shape)
            raise SampleError(
                f"the agent gives {found} for {len(seen)} observations, needed actions "
                "(n, n_actions)"
            )
        if output.is_complex():
            raise SampleError("the agent gives complex numbers, needed real actions (n, n_actions)")
        actions: np.ndarray = output.float().cpu().numpy()
        return actions

    def parts(self) -> dict[str, nn.Module]:
        """The networks by the name of their part of a run file, those that there are."""
        found = {name: getattr(self, name) for name in self.PARTS}
        return {name: part for name, part in found.items() if part is not None}

    def named_tensors(self) -> dict[str, Tensor]:
        """Every parameter under its published name behind its part: `actor/trunk.0.weight` …"""
        return {
            f"{part}/{name}": tensor
            for part, module in self.parts().items()
            for name, tensor in module.state_dict().items()
        }

    def load_named_tensors(self, tensors: Mapping[str, np.ndarray | Tensor]) -> None:
        """Set the parameters named as in `named_tensors`.

        Raises:
            ValueError: a name or a shape that this architecture does not have, or a part that is
                there only in pieces. Parts that are missing altogether stay as they are.
        """
        own = self.named_tensors()
        parts = {name.split("/")[0] for name in tensors}
        wanted = {name for name in own if name.split("/")[0] in parts}
        if unfit := sorted(wanted ^ set(tensors)):
            kind = type(self).__name__
            raise ValueError(f"the parameters do not fit {kind}: {', '.join(unfit[:4])}")
        for name, value in tensors.items():
            tensor = torch.as_tensor(value)
            if tensor.shape != own[name].shape:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}, needed {tuple(own[name].shape)}"
                )
            own[name].copy_(tensor)
