"""Trainings that begin with a transplant's networks."""

import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import TINY, same_runs
from vrlprobe.analyses import cohort, import_checkpoints, transplant
from vrlprobe.analyses._export import export_checkpoint
from vrlprobe.errors import TransplantError, VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import read_record, write_record
from vrlprobe.runs.writer import RunWriter
from vrltrain.cli import main
from vrltrain.config.options import given_config
from vrltrain.inits import brought, read_init
from vrltrain.jobs import Job, is_done, jobs_from
from vrltrain.paths import record_path
from vrltrain.run import begin, resume
from vrltrain.train import quiet
from vrltrain.work import work

CONFIG = replace(TINY, total_frames=3001, seed=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "donor.h5"
    begin(CONFIG, path, quiet, quiet)
    return path


def init_of(trained: Path, folder: Path, cnn: str, mlp: str) -> Path:
    path = folder / f"{cnn}-{mlp}.h5"
    donors = {"donor": str(trained), "blank": "blank"}
    transplant(donors[cnn], donors[mlp], runs=trained.parent, seed=7).save(path)
    return path


def test_it_begins_with_the_donors_networks_alone(trained: Path, tmp_path: Path) -> None:
    init = read_init(init_of(trained, tmp_path, "donor", "donor"))
    begin(replace(init.config, seed=2), tmp_path / "run.h5", quiet, quiet, init)
    with open_run(tmp_path / "run.h5") as run, open_run(trained) as donor:
        assert run.digest(0) == donor.digest(3000)
        assert run.digest(3000) != donor.digest(3000)
        assert run.config["init"] == "donor@3000-donor@3000"
        assert run.config["init_digest"] == run.digest(0)
        assert run.provenance["init"]["pieces"]["mlp1"]["run"] == "donor.h5"
        log = run.log
        assert log["updates"].values.tolist() == donor.log["updates"].values.tolist()
        assert log["noise_std"].values.tolist() == donor.log["noise_std"].values.tolist()
        assert log["step"].values.tolist() == donor.log["step"].values.tolist()


def test_an_import_that_was_not_played_is_trained_on_but_not_resumed(
    trained: Path, tmp_path: Path
) -> None:
    with open_run(trained) as donor:
        export_checkpoint(donor, 3000, tmp_path / "x.pt")
        parameters = donor.parameters(3000)
    path = tmp_path / "imported.h5"
    import_checkpoints(tmp_path / "x.pt", path, task="cartpole_balance", episodes=0)
    init = read_init(path)
    config = replace(TINY, **brought(init), total_frames=1)
    begin(config, tmp_path / "run.h5", quiet, quiet, init)
    with open_run(tmp_path / "run.h5") as run:
        for name, array in parameters.items():
            np.testing.assert_array_equal(run.parameters(0)[name], array)
    result = CliRunner().invoke(main, ["resume", str(path)])
    assert result.exit_code == 1
    assert "is no training of vrltrain" in result.stderr


def test_blank_pieces_are_drawn_with_the_seed(trained: Path, tmp_path: Path) -> None:
    init = read_init(init_of(trained, tmp_path, "donor", "blank"))
    assert {name.split("/")[0] for name in init.blank} == {"actor", "critic", "critic_target"}
    runs = {}
    for seed, blanks in ((1, "redraw"), (2, "redraw"), (2, "file")):
        path = tmp_path / f"{seed}{blanks}.h5"
        config = replace(init.config, seed=seed, init_blanks=blanks, total_frames=1)
        begin(config, path, quiet, quiet, init)
        with open_run(path) as run:
            runs[seed, blanks] = run.parameters(0)
    with open_run(trained) as donor:
        encoder = {n: v for n, v in donor.parameters(3000).items() if n.startswith("encoder/")}
    for found in runs.values():
        for name, value in encoder.items():
            np.testing.assert_array_equal(found[name], value)
    weight = "actor/trunk.0.weight"
    assert not np.array_equal(runs[1, "redraw"][weight], runs[2, "redraw"][weight])
    np.testing.assert_array_equal(runs[2, "file"][weight], init.parameters[weight])


def test_all_blank_is_a_training_from_scratch(trained: Path, tmp_path: Path) -> None:
    init = read_init(init_of(trained, tmp_path, "blank", "blank"))
    begin(replace(init.config, seed=1), tmp_path / "blank.h5", quiet, quiet, init)
    same_runs(tmp_path / "blank.h5", trained)


def test_it_goes_on_without_its_init(trained: Path, tmp_path: Path) -> None:
    path = init_of(trained, tmp_path, "donor", "donor")
    init = read_init(path)
    begin(replace(init.config, seed=3), tmp_path / "whole.h5", quiet, quiet, init)

    def interrupt(training) -> None:
        if training.checkpoints == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(replace(init.config, seed=3), tmp_path / "part.h5", interrupt, quiet, init)
    path.unlink()
    assert resume(tmp_path / "part.h5", quiet)
    same_runs(tmp_path / "part.h5", tmp_path / "whole.h5")


def test_any_run_can_be_an_init(trained: Path, tmp_path: Path) -> None:
    init = read_init(trained)
    assert (init.config.init, init.blank) == ("donor@3000", frozenset())
    hyphens = shutil.copy(trained, tmp_path / "walker-seed3.h5")
    assert read_init(Path(hyphens)).config.init == "walker_seed3@3000"


def test_settings_that_do_not_fit(trained: Path, tmp_path: Path) -> None:
    init = read_init(init_of(trained, tmp_path, "donor", "donor"))
    with pytest.raises(TransplantError, match="hidden_dim 16, the training was to have 17"):
        begin(replace(init.config, hidden_dim=17), tmp_path / "run.h5", quiet, quiet, init)
    assert not (tmp_path / "run.h5").exists()


def call(*arguments: object):
    return CliRunner(catch_exceptions=False).invoke(main, [str(a) for a in arguments])


def test_the_command_takes_the_settings_of_the_init(trained: Path, tmp_path: Path) -> None:
    path, made = init_of(trained, tmp_path, "donor", "blank"), tmp_path / "run.h5"
    done = call("run", "--init", path, "--seed", 4, "--total-frames", 1001, "-o", made)
    assert done.exit_code == 0, done.output
    with open_run(made) as run:
        assert run.config["task"] == "cartpole_balance"
        assert run.config["hidden_dim"] == TINY.hidden_dim
        assert (run.config["seed"], run.config["total_frames"]) == (4, 1001)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "walker_walk"], "has task cartpole_balance, the training was to have walker"),
        (["--hidden-dim", "20"], "has hidden_dim 16, the training was to have 20"),
    ],
)
def test_the_command_refuses_what_the_init_is_not(trained, tmp_path, options, words) -> None:
    done = call("run", "--init", trained, *options, "-o", tmp_path / "run.h5")
    assert done.exit_code == 1
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_a_rule_that_the_init_brought_is_set_without_switching_it_on(trained: Path) -> None:
    init = read_init(trained)
    given = {"reset_window": 2000, "norm_batch_size": 16}
    with pytest.raises(click.UsageError, match="no effect without --reset-rule"):
        given_config(None, None, 0, given, init)
    ruled = replace(init.config, reset_rule=True, reset_consecutive=1, reset_window=2500)
    found = given_config(None, None, 0, given, replace(init, config=ruled))
    assert (found.reset_rule, found.reset_window) == (True, 2000)
    with pytest.raises(click.UsageError, match="no effect without --reset-rule"):
        given_config(None, None, 0, {**given, "reset_rule": False}, replace(init, config=ruled))


def strangers(trained: Path, path: Path, config=None, provenance=None) -> Path:
    """A run of other settings or origin, as another program may write it."""
    with open_run(trained) as run:
        settings, parameters = {**run.config, **(config or {})}, run.parameters(3000)
    with RunWriter.create(
        path, config=settings, parameters=parameters, provenance=provenance
    ) as writer:
        writer.commit(0, parameters)
    return path


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"precision": "float16"}, "precision is 'float16', needed auto, float32, bfloat16"),
        ({"channels": "4"}, "channels is '4', needed a whole number"),
        ({"discount": None}, "discount is None, needed a number"),
        ({"reset_rule": 1}, "reset_rule is 1, needed true or false"),
        ({"n_step": 0}, "n_step is 0, needed 1 or more"),
        ({"n_steps": 3}, "'n_steps' is no setting of this version (1 such in all)"),
    ],
)
def test_settings_of_strangers_are_told_in_a_line(trained, tmp_path, setting, words) -> None:
    path = strangers(trained, tmp_path / "s.h5", config=setting)
    begun = call("run", "--init", path, "-o", tmp_path / "run.h5")
    resumed = call("resume", path)
    for done in (begun, resumed):
        assert done.exit_code == 1
        assert done.stderr.startswith(f"main: {path}: nothing can be trained with its settings: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run.h5").exists()


@pytest.mark.parametrize("made", ["x", {"pieces": ["mlp1"]}, {"pieces": {"mlp1": "blank"}}])
def test_a_provenance_of_strangers_says_nothing(trained, tmp_path, made) -> None:
    init = read_init(strangers(trained, tmp_path / "s.h5", provenance={"transplant": made}))
    assert (init.config.init, init.blank) == ("s@0", frozenset())


def test_a_missing_init(tmp_path: Path) -> None:
    done = call("run", "--init", tmp_path / "no.h5")
    assert (done.exit_code, done.stderr) == (1, f"main: {tmp_path}/no.h5: no such file\n")


def test_a_sweep_over_inits(trained: Path, tmp_path: Path) -> None:
    paths = [init_of(trained, tmp_path, *cell) for cell in (("donor", "donor"), ("donor", "blank"))]
    configs = {path: replace(read_init(path).config, total_frames=1001) for path in paths}
    jobs = jobs_from(configs, [1, 2], tmp_path)
    assert [job.path.name for job in jobs] == [
        *("donor-donor-seed1.h5", "donor-blank-seed1.h5"),
        *("donor-donor-seed2.h5", "donor-blank-seed2.h5"),
    ]
    assert [work(job, quiet).outcome for job in jobs[:3]] == ["done"] * 3
    assert is_done(jobs[0])
    other = replace(jobs[0].config, init_digest="0" * 64)
    with pytest.raises(VrlprobeError, match="of other settings"):
        is_done(Job(other, jobs[0].path))
    records = [read_record(record_path(job.path)) for job in jobs[:3]]
    counted = cohort(records, by="init", good=1.0, bad=0.5, window=1000)
    assert counted["group"].values.tolist() == ["donor@3000-blank", "donor@3000-donor@3000"]
    assert counted["runs"].values.tolist() == [1, 2]


def test_two_inits_of_one_name(trained: Path, tmp_path: Path) -> None:
    config = read_init(trained).config
    with pytest.raises(VrlprobeError, match="two inits are called a"):
        jobs_from({Path("x/a.h5"): config, Path("y/a.h5"): config}, [0], tmp_path)


def test_a_record_from_before_there_were_inits(trained: Path, tmp_path: Path) -> None:
    job = Job(CONFIG, tmp_path / "donor.h5")
    record = read_record(record_path(trained))
    older = {k: v for k, v in record.config.items() if not k.startswith("init")}
    write_record(replace(record, config=older), record_path(job.path))
    assert is_done(job)
