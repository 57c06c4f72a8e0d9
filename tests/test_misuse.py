"""An argument of the wrong kind ends in a line that says which is needed."""

import pytest
import xarray as xr
from matplotlib.figure import Figure

import vrlprobe
from vrlprobe import analyses, figures
from vrlprobe.collapse.rule import Rule
from vrlprobe.errors import DeviceError, FormatError, SampleError, UnknownTaskError


@pytest.mark.parametrize(
    "function",
    [
        vrlprobe.open_run,
        vrlprobe.verify_run,
        vrlprobe.salvage_run,
        vrlprobe.load_samples,
        vrlprobe.load_result,
        lambda run: vrlprobe.import_checkpoints(run, "x.h5", task="walker_walk"),
        lambda run: vrlprobe.import_checkpoints([run], "x.h5", task="walker_walk"),
    ],
)
def test_an_open_run_is_no_path(function, make_run):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(FormatError, match="a file's path is needed, not Run"),
    ):
        function(run)


@pytest.mark.parametrize(
    "writes",
    [
        lambda run, path: vrlprobe.write_report(path, run),
        lambda run, path: vrlprobe.save_samples(vrlprobe.make_samples(run, 60), run),
        lambda run, path: vrlprobe.save_result(xr.Dataset(attrs={"vrlprobe": "probe"}), run),
        lambda run, path: figures.Plot(Figure(), xr.Dataset()).save(run),
        lambda run, path: vrlprobe.write_video(xr.Dataset(), run),
        lambda run, path: analyses.export_checkpoint(run, 0, run),
        lambda run, path: vrlprobe.import_checkpoints(path, run, task="walker_walk"),
        lambda run, path: vrlprobe.RunWriter.append(run),
    ],
)
def test_an_open_run_is_no_output(writes, make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("vrlprobe.figures._video.check_kind", lambda *_: None)
    path = tmp_path / "x.html"
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(FormatError, match="a file's path is needed, not Run"),
    ):
        writes(run, path)


def test_a_path_is_no_sample_set(tmp_path):
    with pytest.raises(FormatError, match="a sample set is needed, not str"):
        vrlprobe.save_samples("set.h5", tmp_path / "set.h5")


def test_an_open_run_is_no_record(make_run, tmp_path):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(FormatError, match=r"a record is needed .*, not Run"),
    ):
        vrlprobe.write_record(run, tmp_path / "a.json")


def test_a_dataset_is_of_runs_and_frames(make_run):
    with vrlprobe.open_run(make_run("a.h5")) as run:
        for given in (run, [run], "a.h5", [("a.h5", 0)]):
            with pytest.raises(SampleError, match="pairs of an open run and a frame"):
                analyses.export_dataset(given, "x-v0")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.h5"):
        vrlprobe.open_run(tmp_path)
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.nc"):
        vrlprobe.load_result(tmp_path)
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.json"):
        vrlprobe.read_records(tmp_path)


def test_a_folder_of_records_is_read_as_such(tmp_path):
    (tmp_path / "a.json").touch()  # whose runs are gone
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.json"):
        vrlprobe.open_run(tmp_path)


SEEDED = [
    lambda seed: analyses.cohort([], seed=seed),
    lambda seed: analyses.compare({}, seed=seed),
    lambda seed: analyses.contrast(None, seed=seed),
    lambda seed: analyses.forecast([], seed=seed),
    lambda seed: analyses.survival([], seed=seed),
    lambda seed: analyses.predict(None, [], seed=seed),
]


@pytest.mark.parametrize("study", SEEDED)
def test_a_seed_is_a_whole_number_from_0_on(study):
    """None would be drawn anew at each call, and the result would say nothing of it."""
    with pytest.raises(ValueError, match="seed must be at least 0, not -1"):
        study(-1)
    for seed in (None, "a", 1.5):
        with pytest.raises(ValueError, match=f"seed must be a whole number, not {seed!r}"):
            study(seed)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "OMP"}, "the kind of probe is one of omp, ridge, mlp, not 'OMP'"),
        ({"n_jobs": 0}, "n_jobs must be at least 1, or -1 for one a core, not 0"),
        ({"n_jobs": 2.5}, "n_jobs must be a whole number, not 2.5"),
        ({"n_jobs": "2"}, "n_jobs must be a whole number, not '2'"),
    ],
)
def test_a_probe_says_which_argument_cannot_be(make_run, options, told):
    with vrlprobe.open_run(make_run("a.h5")) as run, pytest.raises(ValueError, match=told):
        vrlprobe.probe(run, **options)


@pytest.mark.parametrize("device", [None, 1.5])
def test_a_device_has_a_name(make_run, device):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(
            DeviceError, match=f"a device is a name such as 'cpu' or 'cuda', not {device}"
        ),
    ):
        vrlprobe.probe(run, device=device)


def test_a_frame_to_compare_at_is_a_number():
    with pytest.raises(ValueError, match="frame must be a number, not 'last'"):
        analyses.compare({}, frame="last")


@pytest.mark.parametrize("episodes", ["all", 1.5, [0, "1"]])
def test_an_episode_is_a_number(make_run, episodes):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(ValueError, match="episodes are whole numbers, from 0 on, not "),
    ):
        analyses.film(run, episodes=episodes)


@pytest.mark.parametrize("name", ["image_size", "frame_stack", "action_repeat"])
def test_an_environment_has_sizes(name):
    """No image was no OpenGL library, and no repeat an environment in which nothing moves."""
    for value, told in ((0, "at least 1, not 0"), ("2", "a whole number, not '2'")):
        with pytest.raises(ValueError, match=f"{name} must be {told}"):
            vrlprobe.PixelEnv("walker_walk", **{name: value})


@pytest.mark.parametrize("task", [None, 3])
def test_a_task_is_a_name(task):
    with pytest.raises(UnknownTaskError, match=f"no task {task} in the Control Suite: try "):
        vrlprobe.PixelEnv(task)


def test_a_rule_counts_measurements():
    with pytest.raises(ValueError, match="consecutive must be a whole number, not '5'"):
        Rule(1000, consecutive="5")
