"""DrM's remedy for dormant units: weights moved towards blank ones (Xu et al., 2023).

Of DrM's four parts only this one, so that it can be set against the reset rule; exploration and
targets stay DrQ-v2's. Unlike there, the share of dormant units is that of the batch at hand, and
the target critic moves towards the same blank network as the critic.
"""

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.metrics.representation import DORMANT_DRM
from vrltrain.config.settings import TrainConfig
from vrltrain.drqv2 import Learner


@torch.no_grad()
def dormant_share(actor: nn.Module, features: Tensor) -> float:
    """Dormant outputs over all outputs of the actor's linear maps, before any activation.

    Those below the threshold, as in DrM; `vrlprobe.metrics.dormant_ratio` has those at it, too.
    """
    outputs: list[np.ndarray] = []
    hooks = [
        module.register_forward_hook(
            lambda _, __, output: outputs.append(output.float().cpu().numpy())
        )
        for module in actor.modules()
        if isinstance(module, nn.Linear)
    ]
    actor(features)
    for hook in hooks:
        hook.remove()
    means = [np.abs(output).mean(axis=0) for output in outputs]
    dormant = sum(int((mean < DORMANT_DRM * mean.mean()).sum()) for mean in means)
    return dormant / sum(map(len, means))


def perturb_factor(dormant: float, config: TrainConfig) -> float:
    """The share of the old weights that is kept: less, the more units are dormant."""
    kept = 1 - config.perturb_rate * dormant
    return min(max(config.perturb_min, kept), config.perturb_max)


@torch.no_grad()
def perturb(learner: Learner, blank: DrQV2Agent, factor: float) -> None:
    """Set every linear map to `factor` of itself and the rest of a blank one; optimizers as new.

    Convolutions and LayerNorm stay.
    """
    fresh = dict(blank.named_modules())
    for name, module in learner.agent.named_modules():
        if isinstance(module, nn.Linear):
            for own, other in zip(module.parameters(), fresh[name].parameters(), strict=True):
                own.lerp_(other.to(own.device), 1 - factor)
    learner.forget_moments(learner.optimizers)
