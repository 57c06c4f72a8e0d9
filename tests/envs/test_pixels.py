"""Control Suite tasks from pixels: names, stacks, repeats, and recorded episodes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from dm_control import suite

from tests.envs.policies import uniform
from vrlprobe.envs.pixels import PixelEnv, split_task
from vrlprobe.envs.record import record_episode
from vrlprobe.envs.tasks import ALIASES, REWARD_COMPONENTS, reward_components
from vrlprobe.errors import UnknownTaskError, VrlprobeError

pytestmark = pytest.mark.needs("egl")


def test_a_recorded_physics_state_renders_the_same_image(env: PixelEnv) -> None:
    episode = record_episode(env, uniform(1, env.n_actions))
    for time in (0, 17, 99):
        np.testing.assert_array_equal(env.render_state(episode.physics[time]), episode.images[time])


def test_aliases_name_components_and_carry_the_same_values(env: PixelEnv) -> None:
    env.reset()
    env.step(np.full(env.n_actions, 0.5))
    physics = env._env.physics
    for alias, component in env.aliases.items():
        value = env.state[env.components.index(component)]
        own = {"torso_upright": "torso_upright", "torso_height": "torso_height"}.get(alias, alias)
        assert np.ravel(getattr(physics, own)())[0] == value


def test_walker_has_the_papers_components() -> None:
    with PixelEnv("walker_walk", image_size=32, render="fast") as env:
        assert len(env.components) == 25
        assert env.components[-1] == "torso_velocity"
        env.reset()
        env.step(np.ones(6))
        assert env.state[-1] == env._env.physics.horizontal_velocity()
        assert env.state[env.components.index("height")] == env._env.physics.torso_height()


def test_every_component_of_the_table_can_be_read() -> None:
    """The first task of each key, without rendering: names of the physics' own methods."""
    for key, components in REWARD_COMPONENTS.items():
        task = next(t for t in map("_".join, suite.ALL_TASKS) if t.startswith(key))
        with suite.load(*split_task(task)) as env:
            env.reset()
            for method, *arguments in components.values():
                assert np.isfinite(getattr(env.physics, method)(*arguments)), (task, method)


def test_rewards_and_states_equal_the_suites_own() -> None:
    with PixelEnv("walker_walk", seed=5, image_size=32, render="fast") as env:
        plain = suite.load("walker", "walk", task_kwargs={"random": 5})
        plain.reset()  # PixelEnv looks at one reset to name the components
        plain.reset()
        env.reset()
        rng = np.random.default_rng(0)
        for _ in range(20):
            action = rng.uniform(-1, 1, 6)
            reward = sum(plain.step(action).reward for _ in range(2))
            step = env.step(action)
            assert step.reward == reward
            assert not step.last
        observed = plain.task.get_observation(plain.physics)
        np.testing.assert_array_equal(env.state[:14], observed["orientations"])
        np.testing.assert_array_equal(env.state[15:24], observed["velocity"])
        plain.close()


def test_the_stack_repeats_the_first_image_then_moves() -> None:
    with PixelEnv("walker_walk", image_size=32, render="fast") as env:
        env.reset()
        first = env.image
        np.testing.assert_array_equal(env.observation, np.concatenate([first] * 3))
        env.step(np.ones(6))
        second = env.image
        np.testing.assert_array_equal(env.observation, np.concatenate([first, first, second]))


def test_both_render_modes_show_the_same_scene() -> None:
    images = []
    for render in ("full", "fast"):
        with PixelEnv("walker_walk", seed=1, image_size=48, render=render) as env:
            env.reset()
            images.append(env.image.astype(float))
    assert not np.array_equal(*images)
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("task", [f"{domain}_{name}" for domain, name in suite.BENCHMARKING])
def test_every_benchmark_task_is_found(task: str) -> None:
    domain, name = split_task(task)
    assert f"{domain}_{name}" == task


@pytest.mark.parametrize("domain", ALIASES)
def test_an_alias_is_what_the_physics_gives_under_that_name(domain: str) -> None:
    task = next("_".join(pair) for pair in suite.ALL_TASKS if pair[0] == domain)
    with PixelEnv(task, seed=1, image_size=16, render="fast") as env:
        env.reset()
        env._env.physics.data.qvel[:] = 0.3  # no action alone moves the finger's spinner
        env.step(np.ones(env.n_actions))
        for alias, component in env.aliases.items():
            value = np.squeeze(getattr(env._env.physics, alias)())
            assert env.state[env.components.index(component)] == value != 0, alias
        assert set(env.aliases.values()) <= set(reward_components(task))


def test_an_unknown_task_names_near_ones() -> None:
    with pytest.raises(UnknownTaskError, match=r"no task 'walker_wlak' .* walker_walk"):
        PixelEnv("walker_wlak")


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_an_env_left_open_prints_nothing_at_exit() -> None:
    done = run_python(
        "from vrlprobe.envs.pixels import PixelEnv\n"
        "env = PixelEnv('cartpole_balance', image_size=32)\n"
        "env.reset()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("first", "loaded"), [("pass", ["triton"]), ("import OpenGL", [])])
def test_triton_is_loaded_before_mesa_or_not_at_all(tmp_path, first, loaded) -> None:
    """Torch's CUDA builds bring a Triton whose LLVM dies where Mesa's has been loaded first."""
    (tmp_path / "triton.py").write_text(
        "import sys\nassert not {'mujoco', 'OpenGL'} & sys.modules.keys()\nprint('triton')\n"
    )
    made = "PixelEnv('cartpole_balance', image_size=8).reset()"
    code = f"{first}\nfrom vrlprobe import PixelEnv\n{made}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split() == loaded


def test_a_simulation_that_diverges_says_so() -> None:
    with PixelEnv("cartpole_balance", image_size=24, render="fast") as env:
        env.reset()
        env._env.physics.data.qvel[:] = 1e30
        with pytest.raises(VrlprobeError, match="the simulation of cartpole_balance diverged: "):
            env.step(np.zeros(1))
