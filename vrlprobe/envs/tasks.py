"""What the reward of a Control Suite task reads, by name; nothing is simulated or drawn here."""

from collections.abc import Mapping
from typing import TypeVar

Read = TypeVar("Read")

_PEG = {
    "peg_grasp_to_grasp": ("site_distance", "peg_grasp", "grasp"),
    "peg_pinch_to_pinch": ("site_distance", "peg_pinch", "pinch"),
    "peg_to_target": ("site_distance", "peg", "target_peg"),
    "peg_tip_to_target_tip": ("site_distance", "peg_tip", "target_peg_tip"),
}
_BALL = {"ball_to_target": ("site_distance", "ball", "target_ball")}
_STACK = {
    "grasp_to_target": ("site_distance", "grasp", "target"),
    "box0_to_target": ("site_distance", "box0", "target"),
    "box1_to_target": ("site_distance", "box1", "target"),
}

REWARD_COMPONENTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "acrobot": {"to_target": ("to_target",)},
    "ball_in_cup": {"in_target": ("in_target",)},
    "cheetah": {"speed": ("speed",)},
    "hopper": {"height": ("height",), "speed": ("speed",)},
    "manipulator_bring_ball": _BALL,
    "manipulator_bring_peg": _PEG,
    "manipulator_insert_ball": _BALL,
    "manipulator_insert_peg": _PEG,
    "point_mass": {"mass_to_target_dist": ("mass_to_target_dist",)},
    "quadruped_escape": {"origin_distance": ("origin_distance",)},
    "quadruped_fetch": {
        "self_to_ball_distance": ("self_to_ball_distance",),
        "ball_to_target_distance": ("ball_to_target_distance",),
    },
    "reacher": {"finger_to_target_dist": ("finger_to_target_dist",)},
    "stacker_stack_2": _STACK,
    "stacker_stack_4": _STACK
    | {f"box{n}_to_target": ("site_distance", f"box{n}", "target") for n in (2, 3)},
    "swimmer": {"nose_to_target_dist": ("nose_to_target_dist",)},
    "walker": {"torso_velocity": ("horizontal_velocity",)},
}
"""By domain or task: what the reward reads and the observation leaves out, as component: method of
the physics and its arguments."""

ALIASES: Mapping[str, Mapping[str, str]] = {
    "cartpole": {
        "cart_position": "position[0]",
        "pole_angle_cosine": "position[1]",
        "angular_vel": "velocity[1]",
    },
    "finger": {"hinge_velocity": "velocity[2]"},
    "humanoid": {"torso_upright": "torso_vertical[2]"},
    "humanoid_CMU": {"thorax_upright": "torso_vertical[1]"},
    "pendulum": {"pole_vertical": "orientation[0]"},
    "walker": {"torso_upright": "orientations[0]", "torso_height": "height"},
}
"""By domain: what the reward reads under a name of its own though the observation holds it."""


def by_task(table: Mapping[str, Mapping[str, Read]], task: str) -> Mapping[str, Read]:
    """A table's entry for a task, or else for its domain; empty where it has neither."""
    words = task.split("_")
    names = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    return next((table[name] for name in names if name in table), {})


def reward_components(task: str) -> list[str]:
    """Components of the state that a task's reward reads; none where that is not known."""
    return [*by_task(REWARD_COMPONENTS, task), *by_task(ALIASES, task).values()]
