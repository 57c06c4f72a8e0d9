"""What commands of `vrltrain` share: an option for every setting, and the settings they make."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vrltrain.config.limits import CHOICES
from vrltrain.config.profiles import PROFILES
from vrltrain.config.settings import TrainConfig

if TYPE_CHECKING:
    from vrltrain.inits import Init

OVERRIDES = [
    field
    for field in fields(TrainConfig)
    if field.name not in ("task", "seed", "profile", "architecture", "init", "init_digest")
]


TASK, PROFILE = "walker_walk", "desk"
task_option = click.option("--task", help=f"Domain and task.  [default: {TASK}]")
profile_option = click.option(
    "--profile", type=click.Choice(list(PROFILES)),
    help="desk: minutes on one core; bench: hours on one core, until it walks; paper: the "
    "published size and schedule.  "
    f"[default: {PROFILE}]",
)  # fmt: skip

scratch_option = click.option(
    "--scratch", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Write to DIR, on a local disk, and move finished files to their place: for outputs on a "
    "network file system.",
)  # fmt: skip

keep_option = click.option(
    "--keep-resume", is_flag=True,
    help="Leave the replay and the resume state beside the finished run, so that `vrltrain resume "
    "--total-frames` can lengthen it.",
)  # fmt: skip

SWITCHES = {"reset": "reset_rule", "perturb": "perturb_steps"}
"""Settings that make those with the same first word count."""
SHORT = {
    "learning_rate": "lr",
    "reset_window": "window",
    "reset_threshold": "threshold",
    "reset_consecutive": "consecutive",
}
"""Settings with a second, shorter option."""


def override_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each setting, `--image-size` for `image_size`; None where it is not given."""
    for field in reversed(OVERRIDES):
        values = {name: getattr(make("walker_walk"), field.name) for name, make in PROFILES.items()}
        text = field.metadata["help"] + "  [" + ", ".join(f"{k} {v}" for k, v in values.items())
        command = click.option(
            *_option_names(field.name, field.type is bool),
            field.name,
            type=click.Choice(CHOICES[field.name]) if field.name in CHOICES else field.type,
            default=None,
            help=f"{text}]",
        )(command)
    return command


def _option_names(setting: str, switch: bool) -> list[str]:
    name = setting.replace("_", "-")
    names = [f"--{name}/--no-{name}" if switch else f"--{name}"]
    return [*names, f"--{SHORT[setting]}"] if setting in SHORT else names


def _refuse_idle(given: Mapping[str, Any], base: TrainConfig, init: "Init | None") -> None:
    """Raise UsageError for settings given where the one that makes them count is off."""
    whole = {**asdict(base), **given}
    for name in given:
        prefix = name.partition("_")[0]
        if name != SWITCHES.get(prefix, name) and not whole[SWITCHES[prefix]]:
            switch = SWITCHES[prefix].replace("_", "-")
            raise click.UsageError(f"--{name.replace('_', '-')} has no effect without --{switch}")
    if "init_blanks" in given and init is None:
        raise click.UsageError("--init-blanks has no effect without --init")


def given_config(
    profile: str | None,
    task: str | None,
    seed: int,
    overrides: dict[str, Any],
    init: "Init | None" = None,
) -> TrainConfig:
    """A profile's settings, or an init's, with those that were given.

    Raises:
        UsageError: one makes no sense.
        TransplantError: the init has another task or size.
    """
    from vrlprobe.collapse.indicators import ACTION_STD, GRADIENT
    from vrlprobe.envs.pixels import split_task
    from vrltrain.inits import brought, check_fit

    given = {name: value for name, value in overrides.items() if value is not None}
    follows = {}
    if "reset_metric" in given:
        indicator = ACTION_STD if given["reset_metric"] == ACTION_STD.name else GRADIENT
        follows["reset_threshold"] = indicator.threshold
    named = TASK if task is None else task
    split_task(named)
    try:
        if init is None:
            base = PROFILES[profile or PROFILE](named)
        elif profile:
            base = replace(PROFILES[profile](init.config.task), **brought(init))
        else:
            base = init.config
        _refuse_idle(given, base, init)
        config = replace(base, seed=seed, **{"task": task or base.task, **follows, **given})
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if init:
        check_fit(config, init)
    if len(config.evaluation_frames) == 1:
        click.echo(
            f"warning: nothing will be trained: of {config.total_frames} frames, evaluated every "
            f"{config.eval_every_frames}, only frame 0 is evaluated",
            err=True,
        )
    return config
