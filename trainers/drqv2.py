"""The DrQ-v2 update (Yarats et al., 2021a) of an agent's four networks."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.machine import speedup
from trainers.profiles import TrainConfig
from trainers.replay import Batch
from vrlprobe.agents.drqv2 import NORM_LAYERS, DrQV2Agent, add_noise
from vrlprobe.device import device_of

TENSOR_CORES = (8, 0)
"""CUDA capability from which a GPU multiplies bfloat16 (Ampere)."""


FASTER = 1.25
"""How many times float32's speed bfloat16 products need on a processor: convolutions gain less."""


def resolve_precision(name: str, device: str = "cpu") -> str:
    """`float32` or `bfloat16`; `auto` takes bfloat16 where the processor or GPU is faster in it."""
    if name == "auto":
        kind = torch.device(device).type
        faster = kind == "cpu" and _processor_is_faster_in_bfloat16()
        if kind == "cuda":
            faster = torch.cuda.get_device_capability(device) >= TENSOR_CORES
        return "bfloat16" if faster else "float32"
    if name not in ("float32", "bfloat16"):
        raise ValueError(f"precision is auto, float32 or bfloat16, not {name!r}")
    return name


@cache
def _processor_is_faster_in_bfloat16() -> bool:
    """Told from its instructions where they leave no doubt, else timed, once a process.

    AVX-512's bfloat16 products are 2.1 times as fast as float32's on a Zen 4, and half as fast on
    an Emerald Rapids that hides its tiles from a virtual machine: far from `FASTER` on either side,
    and timed in turns, so that other work on the machine does not change the answer.
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    return torch.cpu._is_avx512_bf16_supported() and speedup("bfloat16", "float32") > FASTER


class Learner:
    """Updates an agent from batches of transitions.

    With `bfloat16` the convolutions run in half precision (weights, trunks, MLPs, targets and
    optimizers stay in float32).

    Args:
        agent: the networks, on the device where updates are made; updated in place. Noise is drawn
            on the processor, so that its stream is the same for every device.
        config: the run's settings, `precision` resolved.
    """

    def __init__(self, agent: DrQV2Agent, config: TrainConfig) -> None:
        self.agent, self.config, self.device = agent, config, device_of(agent)
        self.agent.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._halves = config.precision == "bfloat16"
        self.noise = torch.Generator().manual_seed(config.seed)
        self.updates = 0
        self.optimizers = {
            part: torch.optim.Adam(
                getattr(agent, part).parameters(), lr=config.learning_rate, fused=True
            )
            for part in ("encoder", "actor", "critic")
        }
        self._norm_weights = [
            agent.actor.get_parameter(f"{path}.weight") for path in NORM_LAYERS.values()
        ]
        self._sums: dict[str, Any] = {}
        self._counted = 0

    def restart(self, blank: DrQV2Agent, parts: Collection[str], seed: int) -> None:
        """Take some parts from a blank agent, their optimizers as new, and other noise."""
        tensors = blank.named_tensors()
        self.agent.load_named_tensors(
            {n: t for n, t in tensors.items() if n.split("/")[0] in parts}
        )
        for part in self.optimizers.keys() & parts:
            self.optimizers[part].state.clear()
        self.noise.manual_seed(seed)
        self.updates = 0

    def clipped_noise(self, shape: tuple[int, ...], std: float) -> Tensor:
        """Exploration noise as the updates use it: normal with `std`, clipped."""
        noise = torch.randn(shape, generator=self.noise) * std
        return self._here(noise.clamp_(-self.config.noise_clip, self.config.noise_clip))

    def _here(self, values: np.ndarray | Tensor) -> Tensor:
        """Values on the agent's device."""
        return torch.as_tensor(values).to(self.device)

    def explore(self, observation: np.ndarray, std: float) -> np.ndarray:
        """A noisy action (n_actions,) for one observation (3 * frame_stack, H, W)."""
        mean = torch.from_numpy(self.agent.act(observation[None]))
        noise = torch.randn(mean.shape, generator=self.noise) * std
        return add_noise(mean, noise)[0].numpy()

    def update(self, batch: Batch, std: float) -> None:
        """One step of critic, encoder, actor and target."""
        encoded = self.encode(batch.observations)
        target = self.target(batch, self.features(batch.next_observations), std)
        features = encoded.detach().requires_grad_()
        self.critic_gradients(features, self._here(batch.actions), target)
        self.encoder_gradients(encoded, features)
        self.descend("encoder", "critic")
        self.actor_gradients(features.detach(), std)
        self.descend("actor")
        self.update_target()
        self.updates += 1

    @torch.no_grad()
    def features(self, observations: np.ndarray | Tensor) -> Tensor:
        """The encoder's outputs (n, n_features) as updates have them, without gradient."""
        return self.encode(observations)

    def encode(self, observations: np.ndarray | Tensor) -> Tensor:
        """The encoder's outputs (n, n_features) of stacked uint8 observations (n, c, H, W)."""
        pixels = self._here(observations).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._halves):
            maps = self._maps(pixels)
        if maps.requires_grad:  # a gradient in the other layout makes ReLU's backward 20x slower
            maps.register_hook(  # type: ignore[no-untyped-call]
                lambda grad: grad.contiguous(memory_format=torch.channels_last)
            )
        return maps.flatten(1).float()  # laid out anew in half precision: half the bytes

    def _maps(self, pixels: Tensor) -> Tensor:
        """The encoder's maps with the pixels' scale taken into the first convolution.

        (x - 127.5) / 255 is two passes over the largest array of an update, and rounded in half
        precision; x - 128 is exact and one flipped bit away, and the half left over goes into the
        bias.
        """
        first, *others = self.agent.encoder.convnet
        assert isinstance(first, torch.nn.Conv2d)
        dtype = torch.bfloat16 if self._halves else torch.float32
        levels = pixels.bitwise_xor(128).view(torch.int8).to(dtype)
        weight = first.weight / 255
        assert first.bias is not None
        bias = first.bias + 0.5 * weight.sum((1, 2, 3))
        maps = F.conv2d(levels, weight, bias, first.stride)
        for module in others:
            maps = module(maps)
        return maps

    @torch.no_grad()
    def target(self, batch: Batch, next_features: Tensor, std: float) -> Tensor:
        """What both critics should give for a batch, (n, 1)."""
        mean = self.agent.actor(next_features)
        actions = add_noise(mean, self.clipped_noise(mean.shape, std))
        value = torch.min(*self.agent.critic_target(next_features, actions))
        target: Tensor = self._here(batch.rewards) + self._here(batch.discounts) * value
        return target

    def critic_gradients(self, features: Tensor, actions: Tensor, target: Tensor) -> None:
        """Gradients of the critic's loss in its parameters and in `features`."""
        q1, q2 = self.agent.critic(features, actions)
        loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        _set_gradients(loss, [*self.agent.critic.parameters(), features])
        self._count(critic_loss=loss.detach(), q_mean=q1.detach().mean())

    def encoder_gradients(self, encoded: Tensor, features: Tensor) -> None:
        """Gradients of the critic's loss in the encoder, from those in a copy of its outputs."""
        _set_gradients(encoded, list(self.agent.encoder.parameters()), features.grad)

    def actor_gradients(self, features: Tensor, std: float) -> None:
        """Gradients of the actor's loss in its parameters."""
        noise = self.clipped_noise((len(features), self.agent.action_dim), std)
        loss = self.agent.actor_loss(features, noise)
        _set_gradients(loss, list(self.agent.actor.parameters()))
        gradients = [weight.grad for weight in self._norm_weights if weight.grad is not None]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        self._count(actor_loss=loss.detach(), grad_norm_train=norms)
        self._counted += 1

    def descend(self, *parts: str) -> None:
        """One step of the optimizers of these parts."""
        for part in parts:
            self.optimizers[part].step()

    @torch.no_grad()
    def update_target(self) -> None:
        """Move the target critic towards the critic."""
        pairs = zip(
            self.agent.critic_target.parameters(), self.agent.critic.parameters(), strict=True
        )
        for target, source in pairs:
            target.lerp_(source, self.config.target_tau)

    def _count(self, **values: Tensor) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value

    def take_means(self) -> dict[str, np.ndarray]:
        """Means over the updates since the last call, NaN if there were none."""
        count, sums = self._counted, self._sums
        self._counted, self._sums = 0, {}
        if count:
            return {name: (value / count).cpu().numpy() for name, value in sums.items()}
        nan = np.array(np.nan, np.float32)
        names = ("critic_loss", "q_mean", "actor_loss")
        return {**dict.fromkeys(names, nan), "grad_norm_train": np.full(len(NORM_LAYERS), nan)}

    def state(self) -> dict[str, np.ndarray]:
        """Everything beside the agent's parameters that the next update depends on."""
        arrays = {"noise": self.noise.get_state().numpy(), "updates": np.array(self.updates)}
        for part, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                for name, value in moments.items():
                    arrays[f"{part}/{index}/{name}"] = value.contiguous().cpu().numpy()
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from what `state` gave."""
        self.noise.set_state(torch.from_numpy(arrays["noise"]))
        self.updates = int(arrays["updates"])
        for part, optimizer in self.optimizers.items():
            parameters = optimizer.param_groups[0]["params"]
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in arrays.items():
                if key.startswith(f"{part}/"):
                    _, index, name = key.split("/")
                    moment = _laid_out_as(parameters[int(index)], torch.from_numpy(value))
                    moments.setdefault(int(index), {})[name] = moment
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _set_gradients(outputs: Tensor, leaves: list[Tensor], upstream: Tensor | None = None) -> None:
    """Set the leaves' gradients to those of the outputs; `upstream` is the outputs' own."""
    gradients = torch.autograd.grad(outputs, leaves, upstream)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        leaf.grad = gradient


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """A copy with the parameter's strides: the fused Adam walks both as they lie in memory."""
    if moment.shape != parameter.shape:
        return moment.clone()
    return torch.empty_like(parameter).copy_(moment).detach()
