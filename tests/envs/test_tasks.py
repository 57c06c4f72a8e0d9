"""What a task's reward reads."""

import numpy as np
import pytest

from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.tasks import reward_components

TASKS = ("walker_walk", "hopper_stand", "finger_spin", "cartpole_balance")


@pytest.fixture(params=TASKS)
def env(request):
    with PixelEnv(request.param, seed=3, image_size=32, action_repeat=8, render="fast") as env:
        yield env


@pytest.mark.parametrize(
    ("task", "component", "reads"),
    [
        ("quadruped_escape", "origin_distance", lambda p: p.origin_distance()),
        ("quadruped_fetch", "ball_to_target_distance", lambda p: p.ball_to_target_distance()),
        (
            "manipulator_bring_ball",
            "ball_to_target",
            lambda p: p.site_distance("ball", "target_ball"),
        ),
        ("manipulator_insert_peg", "peg_to_target", lambda p: p.site_distance("peg", "target_peg")),
        ("stacker_stack_2", "box1_to_target", lambda p: p.site_distance("box1", "target")),
        ("stacker_stack_4", "box3_to_target", lambda p: p.site_distance("box3", "target")),
    ],
)
def test_what_a_reward_reads_is_a_component(task: str, component: str, reads) -> None:  # type: ignore[no-untyped-def]
    with PixelEnv(task, seed=1, image_size=16, render="fast") as env:
        env.reset()
        env.step(np.ones(env.n_actions))
        value = env.state[env.components.index(component)]
        assert value == reads(env._env.physics) != 0


def test_what_a_reward_reads_is_known_by_task_or_domain() -> None:
    assert reward_components("walker_run") == ["torso_velocity", "orientations[0]", "height"]
    assert reward_components("finger_spin") == ["velocity[2]"]
    assert reward_components("ball_in_cup_catch") == ["in_target"]
    assert reward_components("quadruped_escape") == ["origin_distance"]
    assert reward_components("quadruped_walk") == reward_components("maze") == []
