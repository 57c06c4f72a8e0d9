"""DrQ-v2 (Yarats et al., 2021a): encoder, actor and critic under their published names."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vrlprobe.agents.parts import PartedAgent
from vrlprobe.agents.sizes import feature_size
from vrlprobe.device import device_of, own_defaults, read_only

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
NORM_LAYERS = {"mlp0": "trunk.0", "mlp1": "policy.0", "mlp2": "policy.2"}
"""The actor's linear map behind each mlp layer: `grad_norm` is that of its weight."""
PARTS = ("encoder", "actor", "critic", "critic_target")
TANHS = ("actor/trunk", "actor/policy", "critic/trunk")
"""The networks that end in a tanh, by part and name."""


def initialise(module: nn.Module) -> None:
    """Orthogonal weights (gain 1 for linear, sqrt 2 for convolutions) and zero biases."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        gain = 1.0 if isinstance(module, nn.Linear) else 2.0**0.5
        nn.init.orthogonal_(module.weight, gain)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _activation(name: str) -> type[nn.Module]:
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation {name!r}: needed one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


class Encoder(nn.Module):
    """Four 3 x 3 convolutions over the stacked images.

    Args:
        channels: width of every convolution.
        frame_stack: images a stack holds, three colours each.
        activation: one of `ACTIVATIONS`.
    """

    def __init__(self, channels: int, frame_stack: int, activation: str) -> None:
        super().__init__()
        act = _activation(activation)
        modules: list[nn.Module] = []
        for index in range(4):
            inputs, stride = (3 * frame_stack, 2) if index == 0 else (channels, 1)
            modules += [nn.Conv2d(inputs, channels, 3, stride=stride), act(inplace=True)]
        self.convnet = nn.Sequential(*modules)

    def forward(self, images: Tensor) -> Tensor:
        """Features of normalised images: (n, 3 * frame_stack, H, W) to (n, n_features)."""
        features: Tensor = self.convnet(images)
        return features.flatten(1)


class MixedLinear(nn.Linear):
    """A linear map computed in the precision of what it maps; its outputs are in the weight's."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (n, in_features) to (n, out_features)."""
        weight, bias = (each.to(inputs.dtype) for each in (self.weight, self.bias))
        return F.linear(inputs, weight, bias).to(self.weight.dtype)


class Projection(MixedLinear):
    """The linear map of a trunk, also of maps that are not flattened.

    Convolutions leave channels-last maps. Laying them out anew, as flat features, moves more memory
    than laying out the weight in their order; and with few outputs, the product is faster with
    the weight on its left.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, n_features), or maps (n, channels, height, width), to (n, feature_dim)."""
        if features.dim() == 2:
            return super().forward(features)
        weight, bias = (each.to(features.dtype) for each in (self.weight, self.bias))
        weight = weight.view(-1, *features.shape[1:])
        rows, weight = (each.permute(0, 2, 3, 1).flatten(1) for each in (features, weight))
        return torch.addmm(bias[:, None], weight, rows.t()).t().to(self.weight.dtype)


def _trunk(n_features: int, feature_dim: int) -> nn.Sequential:
    return nn.Sequential(Projection(n_features, feature_dim), nn.LayerNorm(feature_dim), nn.Tanh())


class MLP(nn.Sequential):
    """A network whose `MixedLinear` maps can be computed in another precision than the others."""

    def forward(self, inputs: Tensor, precision: torch.dtype | None = None) -> Tensor:
        """Inputs (n, inputs) to (n, outputs), in the weights' precision throughout without one."""
        for module in self:
            if precision is not None and isinstance(module, MixedLinear):
                inputs = inputs.to(precision)
            inputs = module(inputs)
        return inputs


def _mlp(inputs: int, hidden: int, outputs: int, activation: str) -> MLP:
    """Nearly all products are between the hidden layers; the rest is what losses and actions see,
    and not worth rounding."""
    act = _activation(activation)
    return MLP(
        nn.Linear(inputs, hidden),
        act(),
        MixedLinear(hidden, hidden),
        act(),
        nn.Linear(hidden, outputs),
    )


class Actor(nn.Module):
    """Trunk and policy: features to the mean action in (-1, 1)."""

    def __init__(
        self, n_features: int, feature_dim: int, hidden: int, n_actions: int, activation: str
    ) -> None:
        super().__init__()
        self.trunk = _trunk(n_features, feature_dim)
        self.policy = _mlp(feature_dim, hidden, n_actions, activation)
        self.squash = nn.Tanh()

    def forward(self, features: Tensor) -> Tensor:
        """Mean action: (n, n_features) to (n, n_actions)."""
        mean: Tensor = self.squash(self.policy(self.trunk(features), features.dtype))
        return mean


class Critic(nn.Module):
    """Two Q functions behind a trunk of their own."""

    def __init__(
        self, n_features: int, feature_dim: int, hidden: int, n_actions: int, activation: str
    ) -> None:
        super().__init__()
        self.trunk = _trunk(n_features, feature_dim)
        self.Q1 = _mlp(feature_dim + n_actions, hidden, 1, activation)
        self.Q2 = _mlp(feature_dim + n_actions, hidden, 1, activation)

    def forward(self, features: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Both values of (n, n_features) features and (n, n_actions) actions, each (n, 1)."""
        inputs = torch.cat([self.trunk(features), actions], dim=1)
        return self.Q1(inputs, features.dtype), self.Q2(inputs, features.dtype)


class DrQV2Agent(PartedAgent):
    """The four networks of a DrQ-v2 agent, with the paper's layers by name.

    Args:
        image_size: height and width of the square images, in pixels.
        channels: width of the convolutions.
        feature_dim: outputs of the two trunks.
        hidden_dim: width of the MLP layers.
        action_dim: number of actions.
        frame_stack: images a stack holds.
        activation: `relu`, or `leaky_relu` as in the paper's footnote 1.

    The blank networks are drawn from torch's global generator.
    """

    PARTS = PARTS
    encoder: Encoder
    actor: Actor
    layers: Mapping[str, str] = {
        "cnn0": "",
        "cnn1": "encoder.convnet.1",
        "cnn2": "encoder.convnet.3",
        "cnn3": "encoder.convnet.5",
        "cnn4": "encoder.convnet.7",
        "mlp0": "actor.trunk",
        "mlp1": "actor.policy.1",
        "mlp2": "actor.policy.3",
        "action": "actor.squash",
    }
    """Layer name to the module whose output it is; "" is the network's input (paper, Figure 1)."""

    pieces: Mapping[str, Mapping[str, tuple[str, ...]]] = {
        "cnn": {f"cnn{n + 1}": (f"encoder/convnet.{2 * n}.",) for n in range(4)},
        "mlp": {
            "mlp0": ("actor/trunk.",),
            "mlp1": ("actor/policy.0.",),
            "mlp2": ("actor/policy.2.",),
            "head": ("actor/policy.4.",),
        },
        "critic": {"critic": ("critic/", "critic_target/")},
    }
    """What a transplant takes from a donor: for each part (paper, section 4.2: CNN and MLP) its
    pieces, each with the beginnings of its tensors' names. Every tensor is in one piece."""

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        feature_dim: int,
        hidden_dim: int,
        action_dim: int,
        frame_stack: int = 3,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.image_shape = (3 * frame_stack, image_size, image_size)
        self.action_dim = action_dim
        n_features = feature_size(image_size, channels)
        self.encoder = Encoder(channels, frame_stack, activation)
        head = (n_features, feature_dim, hidden_dim, action_dim, activation)
        self.actor = Actor(*head)
        self.critic = Critic(*head)
        self.critic_target = Critic(*head)
        self.apply(initialise)
        self.critic_target.load_state_dict(self.critic.state_dict())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """An agent with blank networks of the sizes that a run's config states."""
        keys = ("image_size", "channels", "feature_dim", "hidden_dim", "action_dim")
        optional = ("frame_stack", "activation")
        return cls(**{k: config[k] for k in keys + tuple(k for k in optional if k in config)})

    @staticmethod
    def normalise(observations: Tensor) -> Tensor:
        """Pixels as the network takes them: uint8 (n, c, H, W) to float32 in [-0.5, 0.5]."""
        return observations.float().sub_(127.5).div_(255.0)  # the subtraction is exact

    def actor_loss(self, features: Tensor, noise: Tensor) -> Tensor:
        """The actor's loss, minus the mean of the smaller Q (Yarats et al., 2021a, equation 4).

        Args:
            features: encoder outputs, (n, n_features), without gradient.
            noise: clipped exploration noise added to the mean action, (n, action_dim).
        """
        actions = add_noise(self.actor(features), noise)
        q1, q2 = self.critic(features, actions)
        loss: Tensor = -torch.min(q1, q2).mean()
        return loss

    @torch.no_grad()
    def pre_tanh(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        """What enters each tanh, by the name in `TANHS`, float32 (n, units).

        Of an agent without a critic, the actor's two.

        Args:
            observations: stacked uint8 images (n, 3 * frame_stack, H, W).
        """
        with own_defaults():
            features = self._encoded(observations)
            entering = self.actor.trunk[:-1](features)
            found = {
                "actor/trunk": entering,
                "actor/policy": self.actor.policy(self.actor.trunk[-1](entering)),
            }
            if self.critic is not None:
                found["critic/trunk"] = self.critic.trunk[:-1](features)
        return {name: values.cpu().numpy() for name, values in found.items()}

    @torch.no_grad()
    def q_values(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The smaller of both Q values of every observation with every action, float32 (n, m).

        Args:
            observations: stacked uint8 images (n, 3 * frame_stack, H, W).
            actions: (m, action_dim), the same for every observation.
        """
        with own_defaults():
            features = self.critic.trunk(self._encoded(observations))
            given = read_only(np.asarray(actions, np.float32)).to(features.device)
            columns = []
            for action in given:
                inputs = torch.cat([features, action.expand(len(features), -1)], dim=1)
                columns.append(torch.min(self.critic.Q1(inputs), self.critic.Q2(inputs)))
        return torch.cat(columns, dim=1).cpu().numpy()

    def _encoded(self, observations: np.ndarray) -> Tensor:
        """The encoder's features of stacked uint8 images."""
        seen = read_only(observations).to(device_of(self))
        features: Tensor = self.encoder(self.normalise(seen))
        return features

    def gradient_norms(self, observations: np.ndarray, noise: np.ndarray) -> dict[str, float]:
        """Gradient norm of the weights behind mlp0, mlp1 and mlp2 under the actor's loss.

        Args:
            observations: stacked uint8 images (n, 3 * frame_stack, H, W), not augmented.
            noise: clipped exploration noise, (n, action_dim).

        Returns:
            Frobenius norm by layer, in float32 arithmetic (paper, section 5.1).
        """
        with own_defaults():
            with torch.no_grad():
                features = self._encoded(observations)
            weights = [self.actor.get_parameter(f"{path}.weight") for path in NORM_LAYERS.values()]
            loss = self.actor_loss(features, read_only(noise).to(features.device))
            gradients = torch.autograd.grad(loss, weights)
        return {
            name: float(gradient.norm())
            for name, gradient in zip(NORM_LAYERS, gradients, strict=True)
        }


def add_noise(mean: Tensor, noise: Tensor) -> Tensor:
    """Noisy actions kept just inside (-1, 1); the gradient passes as if they were not clamped."""
    noisy = mean + noise
    return noisy + (noisy.clamp(-1 + 1e-6, 1 - 1e-6) - noisy).detach()
