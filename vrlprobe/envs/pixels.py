"""Control Suite tasks from pixels, with the environment's state named beside the images."""

import difflib
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from vrlprobe._checks import check_at_least
from vrlprobe.envs.renderer import check_rendering, render_error, suite
from vrlprobe.envs.tasks import ALIASES, REWARD_COMPONENTS, by_task
from vrlprobe.errors import UnknownTaskError, VrlprobeError

RENDER_MODES = ("full", "fast")

CAMERAS = {"quadruped": 2}
"""Camera by domain where it is not 0, as in the reference implementation."""


class Step(NamedTuple):
    """What one agent step returns: the reward summed over the action repeat, discount, end."""

    reward: float
    discount: float
    last: bool


def split_task(task: str) -> tuple[str, str]:
    """Domain and task of a name such as `walker_walk` or `ball_in_cup_catch`.

    Raises:
        UnknownTaskError: the suite has no such task.
    """
    known = {f"{domain}_{name}": (domain, name) for domain, name in suite().ALL_TASKS}
    if task not in known:
        near = difflib.get_close_matches(str(task), known, 3) or sorted(known)[:3]
        raise UnknownTaskError(f"no task {task!r} in the Control Suite: try {', '.join(near)}")
    return known[task]


def _component_names(observation: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for key, value in observation.items():
        size = np.size(value)
        names += [key] if np.ndim(value) == 0 else [f"{key}[{i}]" for i in range(size)]
    return names


def _mean_of_squares(pixels: np.ndarray) -> np.ndarray:
    """Half the size, uint8 (2h, 2w, 3) to (h, w, 3), each pixel the rounded mean of four."""
    rows = pixels[::2].astype(np.uint16) + pixels[1::2]
    mean: np.ndarray = (rows[:, ::2] + rows[:, 1::2] + 2) >> 2
    return mean.astype(np.uint8)


class PixelEnv:
    """One Control Suite task as DrQ-v2 sees it: stacked images in, actions in [-1, 1] out.

    Args:
        task: domain and task, `walker_walk`.
        seed: of the task's random stream.
        image_size: height and width of the images in pixels.
        frame_stack: images in an observation, newest last; the first is repeated at the start.
        action_repeat: environment frames an action lasts.
        render: `full` is MuJoCo's default quality; `fast` leaves out shadows and smooths edges by
            averaging 2 x 2 pixels instead of multisampling, in a tenth of the time in software.

    Raises:
        UnknownTaskError: no such task, or one without a named state.
        RenderError: no OpenGL library.
        ValueError: another kind of rendering, or a size, stack or repeat below 1.
    """

    def __init__(
        self,
        task: str,
        seed: int = 0,
        *,
        image_size: int = 84,
        frame_stack: int = 3,
        action_repeat: int = 2,
        render: str = "full",
    ) -> None:
        if render not in RENDER_MODES:
            raise ValueError(f"render is one of {', '.join(RENDER_MODES)}, not {render!r}")
        check_at_least(
            1, image_size=image_size, frame_stack=frame_stack, action_repeat=action_repeat
        )
        self.task, self.image_size = task, image_size
        self.frame_stack, self.action_repeat = frame_stack, action_repeat
        self._domain, name = split_task(task)
        check_rendering()
        self._env = suite().load(self._domain, name, task_kwargs={"random": seed})
        from dm_control.rl.control import PhysicsError  # once its package is set up

        self._diverged: type[Exception] = PhysicsError
        self._oversampling = 2 if render == "fast" else 1
        self._camera = self._make_camera(render)
        spec = self._env.action_spec()
        self._low = np.asarray(spec.minimum, np.float64)
        self._range = np.asarray(spec.maximum, np.float64) - self._low
        if not np.isfinite(self._env._step_limit):
            raise UnknownTaskError(f"{task} has no time limit: its episodes would never end")
        self._images: deque[np.ndarray] = deque(maxlen=frame_stack)
        self._observed = dict(self._env.reset().observation)
        if not self._observed:
            raise UnknownTaskError(f"{task} has no named state: its observation is empty")
        self._extras = by_task(REWARD_COMPONENTS, task)
        self.components = (*_component_names(self._observed), *self._extras)
        self.aliases = dict(by_task(ALIASES, task))

    def _make_camera(self, render: str) -> Any:
        from dm_control.mujoco import engine

        physics = self._env.physics
        visual = physics.model.vis
        # A buffer of the image's size: the default of 640 x 480 is cleared and resolved each time.
        size = self.image_size * self._oversampling
        visual.global_.offwidth = visual.global_.offheight = size
        if render == "fast":
            visual.quality.offsamples = 0
            visual.quality.shadowsize = 0
        try:
            return engine.Camera(physics, size, size, CAMERAS.get(self._domain, 0))
        except Exception as error:  # PyOpenGL and MuJoCo raise a kind of their own for each cause
            raise render_error(error) from None

    @property
    def renderer(self) -> str:
        """Name and version of the OpenGL renderer, on which the brightness of images depends."""
        from OpenGL import GL

        with self._env.physics.contexts.gl.make_current() as context:
            names = [context.call(GL.glGetString, n) for n in (GL.GL_RENDERER, GL.GL_VERSION)]
        return ", ".join(name.decode() for name in names if name)

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return len(self._low)

    @property
    def episode_steps(self) -> int:
        """Agent steps until the task's time limit ends an episode."""
        limit: int = round(self._env._step_limit)
        return -(-limit // self.action_repeat)

    @property
    def random_state(self) -> np.random.RandomState:
        """The task's random stream, from which every episode's start is drawn."""
        stream: np.random.RandomState = self._env.task.random
        return stream

    @property
    def image(self) -> np.ndarray:
        """The newest image, uint8 (3, image_size, image_size)."""
        return self._images[-1]

    @property
    def observation(self) -> np.ndarray:
        """The stacked images, uint8 (3 * frame_stack, image_size, image_size), newest last."""
        return np.concatenate(list(self._images))

    @property
    def state(self) -> np.ndarray:
        """The vectorised state, float64 (n_components,), in the order of `components`."""
        observed = [np.ravel(value) for value in self._observed.values()]
        physics = self._env.physics
        extras = [
            np.ravel(getattr(physics, method)(*sites)) for method, *sites in self._extras.values()
        ]
        return np.concatenate(observed + extras).astype(np.float64)

    @property
    def physics_state(self) -> np.ndarray:
        """MuJoCo's full physics state (time, positions, velocities, activations), float64."""
        import mujoco

        model, data = self._env.physics.model.ptr, self._env.physics.data.ptr
        kind = mujoco.mjtState.mjSTATE_FULLPHYSICS
        state = np.empty(mujoco.mj_stateSize(model, kind))
        mujoco.mj_getState(model, data, state, kind)
        return state

    def render_state(self, physics_state: np.ndarray) -> np.ndarray:
        """The image of a recorded physics state, uint8 (3, image_size, image_size)."""
        import mujoco

        model, data = self._env.physics.model.ptr, self._env.physics.data.ptr
        mujoco.mj_setState(model, data, physics_state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_forward(model, data)
        return self.render()

    def render(self) -> np.ndarray:
        """The image of the physics as it stands, uint8 (3, image_size, image_size)."""
        pixels = self._camera.render()
        if self._oversampling > 1:
            pixels = _mean_of_squares(pixels)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def reset(self) -> None:
        """Begin an episode."""
        self._observed = dict(self._env.reset().observation)
        image = self.render()
        self._images.extend([image] * self.frame_stack)

    def step(self, action: np.ndarray) -> Step:
        """Hold one action, (n_actions,) in [-1, 1], for `action_repeat` frames.

        Raises:
            VrlprobeError: the simulation diverged.
        """
        scaled = self._low + (np.asarray(action, np.float64) + 1) / 2 * self._range
        reward, discount = 0.0, 1.0
        for _ in range(self.action_repeat):
            result = self._simulate(scaled)
            reward += (result.reward or 0.0) * discount
            discount *= result.discount
            if result.last():
                break
        self._observed = dict(result.observation)
        self._images.append(self.render())
        return Step(reward, discount, result.last())

    def _simulate(self, action: np.ndarray) -> Any:
        try:
            return self._env.step(action)
        except self._diverged as error:
            reason = str(error).partition("\n")[0]
            raise VrlprobeError(f"the simulation of {self.task} diverged: {reason}") from None

    def close(self) -> None:
        """Free the renderer and the physics; safe to call twice."""
        self._env.physics.free()
        self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
