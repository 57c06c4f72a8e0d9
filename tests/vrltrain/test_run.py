"""Whole trainings, small but real: what they write, and what refuses to start."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.vrltrain.tiny import OPTIONS, TINY, same_runs
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import read_record
from vrltrain.cli import main
from vrltrain.paths import record_path, resume_folder
from vrltrain.run import begin, images_kept, resume
from vrltrain.train import Training, quiet


def test_a_finished_run_leaves_its_record(unbroken: Path) -> None:
    record = read_record(record_path(unbroken))
    with open_run(unbroken) as run:
        assert record.config == dict(run.config)
        np.testing.assert_allclose(record.returns, run.returns, rtol=1e-5)
    assert record_path(unbroken).stat().st_size < 100_000


def test_a_run_holds_what_the_training_did(unbroken: Path) -> None:
    with open_run(unbroken) as run:
        assert run.state == "sealed"
        assert run.frames.tolist() == [0, 1000, 2000, 3000, 4000]
        assert run.config["action_dim"] == 1
        assert run.config["rule_window"] == 3200
        assert run.provenance["renderer"]
        assert [len(run.rollout(f)) for f in run.frames] == [1, 1, 1, 1, 2]
        assert all(episode.images is not None for episode in run.rollout(4000))
        log = run.log
        returns = [np.mean(run.rollout(f).returns) for f in run.frames]
        np.testing.assert_allclose(log["episode_return"], returns, rtol=1e-6)
        assert log["step"].values.tolist() == [0, 50, 100, 150, 200]
        assert np.isnan(log["grad_norm"].values[:2]).all()  # before the first update
        assert (log["grad_norm"].values[2:] > 0).all()
        assert log["updates"].values.tolist() == [0, 0, 25, 50, 75]
    assert not resume_folder(unbroken).exists()


@pytest.mark.parametrize("processes", [0, 2])
def test_progress_is_told_of_every_episode(processes: int, tmp_path: Path) -> None:
    """Frame and episodes evaluated: one at frame 0, two at the end, none when it is written."""
    seen = []
    begin(
        replace(TINY, total_frames=1001, eval_processes=processes),
        tmp_path / "run.h5",
        lambda training: seen.append((training.frame, training.evaluated)),
        quiet,
    )
    assert seen == [(0, 1), (0, 0), (1000, 0), (1000, 1), (1000, 2), (1000, 0)]


def test_the_logged_gradient_norm_is_that_of_the_stored_batch(unbroken: Path) -> None:
    with open_run(unbroken) as run:
        for frame in run.frames[2:]:
            norms = run.agent(frame).gradient_norms(*run.batch(frame))
            logged = run.log["grad_norm"].sel(frame=frame)
            for layer, norm in norms.items():
                assert norm == pytest.approx(float(logged.sel(layer=layer)), rel=1e-4)


def test_the_recorded_actions_are_the_checkpoints(unbroken: Path) -> None:
    with open_run(unbroken) as run:
        episode = run.rollout(4000)[0]
        actions = run.agent(4000).act(episode.observations(indices=range(len(episode))))
    np.testing.assert_allclose(actions, episode.actions, atol=1e-5)


def test_the_same_seed_gives_the_same_run(unbroken: Path, tmp_path: Path) -> None:
    begin(TINY, tmp_path / "again.h5", quiet, quiet)
    same_runs(unbroken, tmp_path / "again.h5")


def test_want_of_memory_is_one_line(tmp_path: Path) -> None:
    options = ["run", *OPTIONS, "--hidden-dim", str(10**8), "-o", str(tmp_path / "run.h5")]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert result.output.startswith("main: not enough memory: can't allocate memory")
    assert len(result.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_actions_and_gradients_are_float32s_beside_bfloat16_updates(tmp_path: Path) -> None:
    """Also on a GPU, which would else take its own shorter type."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    with closing(Training(replace(TINY, precision="bfloat16"), tmp_path / "replay.bin")):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.deterministic


def test_an_existing_run_is_not_touched(unbroken: Path) -> None:
    before = unbroken.read_bytes()
    result = CliRunner().invoke(main, ["run", *OPTIONS, "-o", str(unbroken)])
    assert result.exit_code == 1
    assert "exists" in result.stderr
    assert "vrltrain resume" in result.stderr
    assert unbroken.read_bytes() == before


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("one", [1, 5]), ("all", [5, 5]), ("last", [0, 5]), ("none", [0, 0])],
)
def test_image_policies(policy: str, kept: list[int]) -> None:
    assert [images_kept(policy, 5, last) for last in (False, True)] == kept


def test_a_record_left_of_another_run_is_replaced_and_its_own_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    short = replace(TINY, total_frames=1001)
    begin(short, path, quiet, quiet)
    kept = record_path(path).read_bytes()
    assert not resume(path, quiet)
    assert record_path(path).read_bytes() == kept
    path.unlink()
    begin(replace(short, seed=9), path, quiet, quiet)
    assert read_record(record_path(path)).config["seed"] == 9


def test_a_file_in_the_place_of_the_resume_state_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "run.resume").write_text("mine")
    with pytest.raises(FormatError, match=r"run\.resume is where the run's resume state goes"):
        begin(TINY, tmp_path / "run.h5", quiet, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["run.resume"]


def test_a_link_to_nothing_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.symlink_to("elsewhere.h5")
    with pytest.raises(FormatError, match=r"run\.h5 is a link: .* file itself, elsewhere\.h5"):
        begin(TINY, path, quiet, quiet)
    assert [item.name for item in tmp_path.iterdir()] == ["run.h5"]
    assert path.is_symlink()


def test_a_file_in_the_records_place_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"my": "notes"}')
    with pytest.raises(VrlprobeError, match=r"run\.json is where the run's record goes"):
        begin(TINY, tmp_path / "run.h5", quiet, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_training_that_diverges_ends_with_one_line(tmp_path: Path) -> None:
    options = [*OPTIONS, "--learning-rate", "1e30", "--total-frames", "4001"]
    result = CliRunner().invoke(main, ["run", *options, "-o", str(tmp_path / "run.h5")])
    assert result.exit_code == 1
    assert result.stderr.endswith("the agent's action is no number: its training diverged\n")
    with closing(Training(TINY, tmp_path / "replay")) as training:
        training.step = TINY.exploration_steps
        next(training.agent.actor.parameters()).data.fill_(np.nan)
        with pytest.raises(VrlprobeError, match="no number at frame 1000: its training diverged"):
            training.play_until(2000, quiet)


def test_nothing_to_train_is_warned_of(tmp_path: Path) -> None:
    options = [*OPTIONS, "--total-frames", "1000"]
    result = CliRunner().invoke(main, ["run", *options, "-o", str(tmp_path / "run.h5")])
    assert result.exit_code == 0
    assert "warning: nothing will be trained" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--update-every-steps", "0"], 2, "update_every_steps is 0, needed 1 or more"),
        (["--channels", "0"], 2, "channels is 0, needed 1 or more"),
        (["--n-step", "5000"], 1, "an episode of cartpole_balance has 500 agent steps"),
        (["--task", "lqr_lqr_2_1"], 1, "has no time limit"),
        (["-o", "run.hdf5"], 2, "a run file ends in .h5"),
        (["-o", "/dev/null/run.h5"], 1, "/dev/null is no folder"),
    ],
)
def test_a_refused_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        main, ["run", "--task", "cartpole_balance", "-o", "run.h5", *arguments]
    )
    assert result.exit_code == code
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
