"""The network of Mnih et al. (2015) as Stable-Baselines3 and CleanRL build it, with its head."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from vrlprobe.agents.drqv2 import initialise
from vrlprobe.agents.parts import PartedAgent

CONVOLUTIONS = ((8, 4), (4, 2), (3, 1))
"""Kernel size and stride."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
OUTPUTS = {
    "q": "values of discrete actions",
    "logits": "of discrete actions",
    "mean": "of continuous actions, as it is",
    "mu": "of continuous actions, before a tanh",
}
"""What the last linear map gives, which is also its name."""


def conv_side(pixels: int) -> int:
    """Height or width behind the convolutions: 7 for 84 pixels."""
    for kernel, stride in CONVOLUTIONS:
        pixels = (pixels - kernel) // stride + 1
    if pixels < 1:
        raise ValueError("the images are too small: NatureCNN needs at least 36 pixels")
    return pixels


class Encoder(nn.Module):
    """Three convolutions and a linear map, a ReLU behind each."""

    def __init__(
        self, image_shape: tuple[int, int, int], widths: Sequence[int], feature_dim: int
    ) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        inputs, height, width = image_shape
        for outputs, (kernel, stride) in zip(widths, CONVOLUTIONS, strict=True):
            modules += [nn.Conv2d(inputs, outputs, kernel, stride=stride), nn.ReLU()]
            inputs = outputs
        self.cnn = nn.Sequential(*modules)
        n_features = inputs * conv_side(height) * conv_side(width)
        self.linear = nn.Sequential(nn.Linear(n_features, feature_dim), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, feature_dim) of images (n, channels, height, width) in [0, 1]."""
        features: Tensor = self.linear(self.cnn(images).flatten(1))
        return features


class Actor(nn.Module):
    """Hidden layers, if there are any, and a linear map to what `output` says."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], action_dim: int, output: str, activation: str
    ) -> None:
        super().__init__()
        if output not in OUTPUTS or activation not in ACTIVATIONS:
            raise ValueError(f"no output {output!r} or no activation {activation!r}")
        modules: list[nn.Module] = []
        for width in hidden:
            modules += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
            inputs = width
        self.mlp = nn.Sequential(*modules)
        self.add_module(output, nn.Linear(inputs, action_dim))
        self._output = output
        self.squash = nn.Tanh() if output == "mu" else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(n, feature_dim) to (n, action_dim)."""
        given: Tensor = self.squash(self.get_submodule(self._output)(self.mlp(features)))
        return given


class NatureAgent(PartedAgent):
    """Encoder and actor of an agent that Stable-Baselines3 or CleanRL trained from pixels.

    Args:
        image_shape: of what it sees: channels of the whole stack, height, width.
        widths: of the three convolutions.
        feature_dim: outputs of the encoder.
        hidden: widths of the layers between the encoder and the output.
        action_dim: number of outputs.
        output: one of `OUTPUTS`.
        activation: behind the hidden layers, one of `ACTIVATIONS`.

    There is no critic. The blank networks are drawn from torch's global generator.
    """

    PARTS = ("encoder", "actor")
    encoder: Encoder
    actor: Actor
    critic = None
    pieces: Mapping[str, Mapping[str, tuple[str, ...]]] = {
        "cnn": {
            **{f"cnn{n + 1}": (f"encoder/cnn.{2 * n}.",) for n in range(3)},
            "mlp0": ("encoder/linear.",),
        },
        "mlp": {"head": ("actor/",)},
        "critic": {},
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int],
        widths: Sequence[int],
        feature_dim: int,
        hidden: Sequence[int],
        action_dim: int,
        output: str,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.image_shape = (channels, height, width)
        self.action_dim = action_dim
        self.encoder = Encoder(self.image_shape, widths, feature_dim)
        self.actor = Actor(feature_dim, hidden, action_dim, output, activation)
        discrete = output in ("q", "logits")
        self.layers = {
            "cnn0": "",
            **{f"cnn{n + 1}": f"encoder.cnn.{2 * n + 1}" for n in range(len(CONVOLUTIONS))},
            "mlp0": "encoder.linear.1",
            **{f"mlp{n + 1}": f"actor.mlp.{2 * n + 1}" for n in range(len(hidden))},
            (output if discrete else "action"): "actor.squash",
        }
        self.apply(initialise)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """An agent with blank networks of the sizes that a run's config states."""
        keys = ("image_shape", "widths", "feature_dim", "hidden", "action_dim", "output")
        return cls(**{key: config[key] for key in keys}, activation=config["activation"])

    @staticmethod
    def normalise(observations: Tensor) -> Tensor:
        """Pixels as the network takes them: uint8 (n, c, H, W) to float32 in [0, 1]."""
        return observations.float().div_(255.0)
