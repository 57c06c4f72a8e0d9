"""Settings: the published ones, those that contradict each other, rules that decide nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.vrltrain.tiny import TINY
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.collection import read_records
from vrlprobe.runs.reader import open_run
from vrltrain.config.profiles import desk, paper
from vrltrain.config.settings import TrainConfig
from vrltrain.run import begin
from vrltrain.train import quiet

STUDY = Path(__file__).parents[3] / "docs" / "study"


def test_the_paper_profile_has_the_published_settings() -> None:
    walker, hopper = paper("walker_walk"), paper("hopper_stand")
    assert (walker.n_step, walker.batch_size) == (1, 512)
    assert (hopper.n_step, hopper.batch_size) == (3, 256)
    assert len(walker.evaluation_frames) == 110
    assert walker.evaluation_frames[-1] == 1_090_000
    assert walker.rule_window == 200_000
    assert (paper("cheetah_run").total_frames, paper("cheetah_run").noise_steps) == (
        3_100_000,
        500_000,
    )
    for task in ("humanoid_stand", "humanoid_walk", "humanoid_run"):
        assert (paper(task).feature_dim, paper(task).learning_rate) == (100, 8e-5)


def test_a_rule_that_could_only_fire_is_refused() -> None:
    config = desk("walker_walk")
    with pytest.raises(ValueError, match="a window of 30000 frames has 4 after the first update"):
        replace(config, reset_rule=True, eval_every_frames=6_500)
    assert replace(config, reset_rule=True, eval_every_frames=6_000).reset_rule


def test_measurements_before_the_first_update_do_not_count(tmp_path: Path) -> None:
    """At 4,000 frames nothing is learned yet: 8,000 to 20,000 are four measurements."""
    config = replace(desk("walker_walk"), eval_every_frames=4000)
    with pytest.raises(ValueError, match="a window of 20000 frames has 4 after"):
        replace(config, reset_rule=True, reset_window=20_000)
    full = replace(TINY, reset_rule=True, reset_window=2000, reset_consecutive=1, total_frames=6001)
    with pytest.raises(ValueError, match="has 0 after the first update with a batch of 104"):
        replace(full, norm_batch_size=104)  # of 20 frames each: 2,080
    assert replace(full, norm_batch_size=104, reset_metric="action_spread")


@pytest.mark.needs("egl")
def test_measurements_count_in_the_windows_of_later_attempts_too(tmp_path: Path) -> None:
    """Evaluated at 2,000, 3,000 and 5,000; then at 8,000 and 9,000, not three times to 10,000."""
    config = replace(
        TINY, eval_every_frames=1500, reset_window=5000, reset_consecutive=3, norm_batch_size=16,
        total_frames=16_001, reset_rule=True,
    )  # fmt: skip
    with pytest.raises(VrlprobeError, match="a window of 5000 frames has 2 after"):
        begin(config, tmp_path / "a.h5", quiet, quiet)  # an episode is 1,000 frames


def test_a_rule_that_could_never_fire_is_refused() -> None:
    config = desk("walker_walk")
    for settings in ({"reset_window": 200_000}, {"reset_window": 100_000}, {"noise_steps": 0}):
        with pytest.raises(ValueError, match="the last evaluation is at 100000: it would never"):
            replace(config, reset_rule=True, **settings)


@pytest.mark.needs("egl")
def test_measurements_of_whole_episodes(tmp_path: Path) -> None:
    short = replace(
        TINY, reset_rule=True, reset_window=4000, eval_every_frames=500, total_frames=6001
    )
    with pytest.raises(VrlprobeError, match="a window of 4000 frames has 3 after"):
        begin(short, tmp_path / "a.h5", quiet, quiet)  # an episode is 1,000 frames
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bad_return": 300.0}, "bad_return is 300.0, but good_return is 250.0"),
        ({"perturb_min": 0.95}, "perturb_min is 0.95, but perturb_max is 0.9"),
        ({"discount": 3.0}, "discount is 3.0, but at most 1.0"),
        ({"target_tau": 5.0}, "target_tau is 5.0, but at most 1.0"),
        ({"replay_capacity": 100}, "norm_batch_size is 256, but replay_capacity is 100"),
        ({"shift_pad": 48}, "shift_pad is 48, but image_size is 48"),
        ({"perturb_steps": 3}, "perturb_steps is 3, needed a multiple of update_every_steps, 2"),
        ({"learning_rate": float("inf")}, "learning_rate is inf, needed a number of 0 or more"),
        ({"threads": 100_000}, "threads is 100000, but at most 1024"),
        ({"batch_size": 60_000}, "batch_size is 60000, but the run has 50000 agent steps in all"),
        ({"image_size": -3}, "image_size is -3, needed a number of 1 or more"),
        ({"total_frames": 10**20}, "evaluations, but at most 1,000,000"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(desk("walker_walk"), **settings)


def test_without_decay_the_window_is_the_whole_run() -> None:
    assert replace(desk("walker_walk"), noise_steps=0).rule_window == 100_001


def test_a_setting_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="learning_rate is nan"):
        replace(desk("walker_walk"), learning_rate=float("nan"))


@pytest.mark.needs("egl")
@pytest.mark.parametrize("task", ["walker_walk", "hopper_stand", "finger_spin", "cartpole_balance"])
def test_the_desk_profile_trains_every_tested_task(task: str, tmp_path: Path) -> None:
    config = replace(
        desk(task), image_size=24, channels=4, hidden_dim=16, batch_size=16, action_repeat=8,
        seed_frames=1000, exploration_steps=100, total_frames=2001, final_episodes=1,
        eval_every_frames=1000,
    )  # fmt: skip
    path = tmp_path / "run.h5"
    begin(config, path, quiet, quiet)
    with open_run(path) as run:
        assert run.frames.tolist() == [0, 1000, 2000]
        assert run.log["updates"].values[-1] == 62
        assert len(run.components) == run.rollout(0)[0].states.shape[1]


@pytest.mark.parametrize(("folder", "count"), [("desk", 20), ("finger", 6)])
def test_the_study_s_runs_were_trained_with_the_profile_as_it_is(folder: str, count: int) -> None:
    """So that its command still makes the runs that it tells of."""
    records = read_records(f"{STUDY}/{folder}/*.json")
    assert len(records) == count
    for record in records:
        config = replace(
            desk(record.config["task"]), seed=record.config["seed"], precision="bfloat16"
        )
        assert TrainConfig.restored(record.config, record.path) == config
