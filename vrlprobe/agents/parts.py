"""What the architectures here share: networks in named parts, and parameters by 'part/name'."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.agents.base import check_observations
from vrlprobe.device import device_of


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout and batch normalisation as in evaluation; every submodule is left as it was."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode


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

        Raises:
            KeyError, RuntimeError, TypeError, ValueError: the config has no such sizes, or the
                parameters do not fit them. Found out before memory is taken: both may come from a
                stranger's file.
        """
        with torch.device("meta"):
            cls.from_config(config).load_named_tensors(
                {name: torch.empty(tuple(tensor.shape)) for name, tensor in tensors.items()}
            )
        agent = cls.from_config(config)
        agent.load_named_tensors(tensors)
        return agent

    @staticmethod
    def normalise(observations: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
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
                there are none.
        """
        check_observations(self, observations)
        seen = torch.from_numpy(np.ascontiguousarray(observations)).to(device_of(self))
        with evaluating(self):
            actions: np.ndarray = self(seen).float().cpu().numpy()
        return actions

    def parts(self) -> dict[str, nn.Module]:
        """The networks by the name of their part of a run file."""
        return {name: getattr(self, name) for name in self.PARTS}

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
