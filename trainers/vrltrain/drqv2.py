"""The DrQ-v2 update (Yarats et al., 2021a) of an agent's four networks."""

import math
from collections.abc import Callable, Collection, Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vrlprobe.agents.drqv2 import NORM_LAYERS, DrQV2Agent, add_noise
from vrlprobe.device import device_of, send
from vrltrain.config.settings import TrainConfig
from vrltrain.cuda_graph import Recorded, Recorder, cuda_graph
from vrltrain.machine import speedup
from vrltrain.relu import is_by_bits, relu_by_bits_
from vrltrain.replay import Batch

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
    if hasattr(torch.cpu, "get_capabilities"):  # newer than torch 2.9
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("amx_tile", False):
            return True
        if not capabilities.get("avx512_bf16", False):
            return False
    return speedup("bfloat16", "float32") > FASTER


def lay_out(agent: DrQV2Agent) -> None:
    """Keep the convolutions' weights as their kernels want them; sums are rounded as they lie."""
    agent.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weights_of(agent: DrQV2Agent) -> dict[str, torch.nn.Parameter]:
    """Matrices and kernels of the networks that are trained, by 'part/name'."""
    return {
        f"{part}/{name}": parameter
        for part in ("encoder", "actor", "critic")
        for name, parameter in getattr(agent, part).named_parameters()
        if parameter.ndim > 1
    }


class Learner:
    """Updates an agent from batches of transitions.

    With `bfloat16` the convolutions, the trunks' linear maps and those between hidden layers are
    computed in half precision (all else, weights and values and optimizers too, stays in float32).
    What an update needs of the processor is sent to the device before it begins: a GPU is never
    waited for, and updates while the environment takes its next step.

    Args:
        agent: the networks, on the device where updates are made; updated in place. Noise is drawn
            on the processor, so that its stream is the same for every device.
        config: the run's settings, `precision` resolved.
        record: how updates are recorded, to be started as a whole from the fourth on; by default as
            CUDA graphs on a GPU, where the settings want it, and not at all elsewhere.
    """

    def __init__(
        self, agent: DrQV2Agent, config: TrainConfig, record: Recorder | None = None
    ) -> None:
        self.agent, self.config, self.device = agent, config, device_of(agent)
        lay_out(agent)
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
        self.weights = weights_of(agent)
        scalars = ("critic_loss", "q_mean", "actor_loss")
        self._sums = {name: torch.zeros((), device=self.device) for name in scalars}
        self._sums["grad_norm_train"] = torch.zeros(len(NORM_LAYERS), device=self.device)
        self._sums["grad_square"] = torch.zeros(len(self.weights), device=self.device)
        self._counted = 0
        if record is None and self.device.type == "cuda" and config.cuda_graph:
            record = self._graph
        self._record = record
        self._begin_recording()

    def _begin_recording(self) -> None:
        """Have updates recorded anew: none was yet, or what they change has moved in memory."""
        self._recorded = Recorded(self._update, self._record) if self._record else None

    def close(self) -> None:
        """Let go of the recording, and so of its memory on a GPU."""
        self._record = self._recorded = None

    def _graph(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record an update as a CUDA graph; optimizers want to be told."""
        groups = [
            group for optimizer in self.optimizers.values() for group in optimizer.param_groups
        ]
        for group in groups:
            group["capturable"] = True
        try:
            return cuda_graph(work, self.device)
        finally:
            for group in groups:
                group["capturable"] = False

    def restart(self, blank: DrQV2Agent, parts: Collection[str], seed: int) -> None:
        """Take some parts from a blank agent, their optimizers as new, and other noise."""
        tensors = blank.named_tensors()
        self.agent.load_named_tensors(
            {n: t for n, t in tensors.items() if n.split("/")[0] in parts}
        )
        self.forget_moments(self.optimizers.keys() & parts)
        self.noise.manual_seed(seed)
        self.updates = 0

    def forget_moments(self, parts: Collection[str]) -> None:
        """Have the optimizers of these parts begin as new, in place: a recording knows it."""
        for part in parts:
            for moment in self.moments(part):
                moment.zero_()

    def moments(self, part: str) -> list[Tensor]:
        """Step counts and moments of a part's optimizer; none before its first step."""
        states = self.optimizers[part].state.values()
        return [moment for state in states for moment in state.values()]

    def clipped_noise(self, shape: tuple[int, ...], std: float) -> Tensor:
        """Exploration noise as the updates use it: normal with `std`, clipped."""
        noise = torch.randn(shape, generator=self.noise) * std
        return noise.clamp_(-self.config.noise_clip, self.config.noise_clip)

    def explore(self, observation: np.ndarray, std: float) -> np.ndarray:
        """A noisy action (n_actions,) for one observation (3 * frame_stack, H, W)."""
        mean = torch.from_numpy(self.agent.act(observation[None]))
        noise = torch.randn(mean.shape, generator=self.noise) * std
        return add_noise(mean, noise)[0].numpy()

    def update(self, batch: Batch, std: float) -> None:
        """One step of critic, encoder, actor and target."""
        shape = (len(batch.actions), self.agent.action_dim)
        noise = [self.clipped_noise(shape, std) for _ in ("target", "actor")]
        update = self._recorded or self._update
        update(*(send(values, self.device) for values in (*batch, *noise)))
        self.updates += 1
        self._counted += 1

    def _update(
        self,
        observations: Tensor,
        actions: Tensor,
        rewards: Tensor,
        discounts: Tensor,
        next_observations: Tensor,
        target_noise: Tensor,
        actor_noise: Tensor,
    ) -> None:
        """An update from what is on the device, where it changes numbers in their places."""
        encoded = self.encode(observations)
        target = self.target(rewards, discounts, self.features(next_observations), target_noise)
        features = encoded.detach().requires_grad_()
        self.critic_gradients(features, actions, target)
        self.encoder_gradients(encoded, features)
        self.descend("encoder", "critic")
        self.actor_gradients(features.detach(), actor_noise)
        self.descend("actor")
        self.count_gradients()
        self.update_target()

    @torch.no_grad()
    def features(self, observations: Tensor) -> Tensor:
        """The encoder's maps as updates have them, without gradient."""
        return self.encode(observations)

    def encode(self, observations: Tensor) -> Tensor:
        """The encoder's maps (n, channels, h, w) of stacked uint8 observations (n, c, H, W).

        The pixels' scale is taken into the first convolution: (x - 127.5) / 255 is two passes over
        the largest array of an update, and rounded in half precision; x - 128 is exact and one
        flipped bit away, and the half left over goes into the bias.
        """
        first, *others = self.agent.encoder.convnet
        assert isinstance(first, torch.nn.Conv2d)
        dtype = torch.bfloat16 if self._halves else torch.float32
        pixels = observations.clone(memory_format=torch.channels_last)  # changed in place
        levels = pixels.bitwise_xor_(128).view(torch.int8).to(dtype)
        weight = first.weight / 255
        assert first.bias is not None
        bias = first.bias + 0.5 * weight.sum((1, 2, 3))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._halves):
            maps = F.conv2d(levels, weight, bias, first.stride)
            for module in others:
                maps = relu_by_bits_(maps) if is_by_bits(module, maps) else module(maps)
        return maps

    @torch.no_grad()
    def target(
        self, rewards: Tensor, discounts: Tensor, next_features: Tensor, noise: Tensor
    ) -> Tensor:
        """What both critics should give for a batch, (n, 1)."""
        actions = add_noise(self.agent.actor(next_features), noise)
        value = torch.min(*self.agent.critic_target(next_features, actions))
        target: Tensor = rewards + discounts * value
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

    def actor_gradients(self, features: Tensor, noise: Tensor) -> None:
        """Gradients of the actor's loss in its parameters."""
        loss = self.agent.actor_loss(features, noise)
        _set_gradients(loss, list(self.agent.actor.parameters()))
        gradients = [weight.grad for weight in self._norm_weights if weight.grad is not None]
        norms = torch.stack([gradient.norm() for gradient in gradients])
        self._count(actor_loss=loss.detach(), grad_norm_train=norms)

    def count_gradients(self) -> None:
        """Add up the mean square of the gradient of each of `weights`."""
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        squares = [gradient.norm() ** 2 / gradient.numel() for gradient in gradients]
        self._count(grad_square=torch.stack(squares))

    def adam_rms(self) -> np.ndarray:
        """Root mean square of what Adam divides by, for each of `weights`; NaN before any update.

        Comparable with the root mean square of the gradient: without noise or drift both are equal.
        """
        found = {}
        for part, optimizer in self.optimizers.items():
            beta = optimizer.defaults["betas"][1]
            for name, weight in self.weights.items():
                state = optimizer.state.get(weight, {}) if name.startswith(f"{part}/") else {}
                if state and float(state["step"]):
                    unbiased = 1 - beta ** float(state["step"])
                    found[name] = math.sqrt(float(state["exp_avg_sq"].mean()) / unbiased)
        return np.array([found.get(name, math.nan) for name in self.weights])

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
            self._sums[name].add_(value)

    def take_means(self) -> dict[str, np.ndarray]:
        """Means over the updates since the last call, NaN if there were none."""
        count, self._counted = self._counted or math.nan, 0
        means = {name: (total / count).cpu().numpy() for name, total in self._sums.items()}
        means["grad_rms"] = np.sqrt(means.pop("grad_square"))
        for total in self._sums.values():
            total.zero_()
        return means

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
        self._begin_recording()


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
