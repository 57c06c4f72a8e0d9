"""Episodes recorded from an environment."""

from collections.abc import Callable

import numpy as np

from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.episode import Episode


def record_episode(
    env: PixelEnv,
    policy: Callable[[np.ndarray], np.ndarray],
    *,
    keep_images: bool = True,
    on_step: Callable[[], None] = lambda: None,
) -> Episode:
    """Play one episode from a reset and keep everything about it.

    Args:
        env: the environment; it is reset first.
        policy: stacked observations (1, 3 * frame_stack, H, W) to actions (1, n_actions).
        keep_images: False leaves the images out of what is returned.
        on_step: called after each step, for instance to show progress.

    Raises:
        VrlprobeError: the policy gives an action that is not finite.
    """
    env.reset()
    images, states, physics = [env.image], [env.state], [env.physics_state]
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    last = False
    while not last:
        actions.append(np.asarray(policy(env.observation[None])[0], np.float32))
        if not np.isfinite(actions[-1]).all():
            raise VrlprobeError("the agent's action is no number: its training diverged")
        step = env.step(actions[-1])
        last = step.last
        rewards.append(step.reward)
        images.append(env.image)
        states.append(env.state)
        physics.append(env.physics_state)
        on_step()
    return Episode(
        images=np.stack(images) if keep_images else None,
        actions=np.stack(actions),
        rewards=np.asarray(rewards, np.float32),
        states=np.stack(states),
        physics=np.stack(physics),
    )
