"""The commands samples, activations and probe, as a person types them."""

import json

import numpy as np
import pytest
import xarray as xr

from tests.cli.outcome import failed
from vrlprobe import figures
from vrlprobe.results.file import load_result
from vrlprobe.samples.file import load_samples


@pytest.fixture
def runs(make_run):
    for seed in (1, 2, 3):
        make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000))
    return ["seed1.h5", "seed2.h5", "seed3.h5"]


@pytest.fixture
def sample_set(call, runs):
    assert call("samples", *runs, "-o", "set.h5", "-n", 300).exit_code == 0
    return "set.h5"


class TestSamples:
    def test_it_says_what_it_took(self, call, runs, tmp_path):
        result = call("samples", *runs, "-o", "set.h5")
        assert result.exit_code == 0
        made = load_samples(tmp_path / "set.h5")
        lines = result.stdout.splitlines()
        assert lines[0] == "walker_walk: 492 samples, 5 components"
        assert "seed2.h5     2   1000      40         4" in lines
        assert "train         8      328" in lines
        assert lines[-1] == f"digest {made.digest}"
        assert result.stderr == "wrote set.h5\n"

    def test_weak_runs_need_to_be_insisted_on(self, call, runs, make_run):
        make_run("weak.h5", reward=0.1)
        result = call("samples", *runs, "weak.h5", "-o", "set.h5")
        failed(result, "weak.h5 returns 4 (good: 20): leave these out", "--insist")
        result = call("samples", *runs, "weak.h5", "-o", "set.h5", "--insist")
        assert result.exit_code == 0
        assert "warning: not well-performing: weak.h5" in result.stderr

    def test_a_mix_says_what_it_took_from_whom(self, call, runs, make_run, tmp_path):
        make_run("weak.h5", reward=0.1)
        base = ("samples", runs[0], "weak.h5", "-o", "set.h5", "--mix")
        result = call(*base, "good,bad")
        assert result.exit_code == 0, result.output
        line = "mix: 4 good episodes (4 of seed1.h5), 4 bad episodes (4 of weak.h5)"
        assert line in result.stdout.splitlines()
        assert result.stderr == "wrote set.h5\n"
        probed = call("probe", "seed2.h5", "--samples", "set.h5", "--layers", "mlp0")
        assert probed.exit_code == 0, probed.output
        sources = json.loads(load_result("seed2.probe.nc").attrs["sample_sources"])
        assert [source["run_class"] for source in sources] == ["good", "bad"]
        failed(call(*base, "middle"), "no run is middle; they return: seed1.h5 40, weak.h5 4")
        failed(call(*base, "good,badd"), "no class 'badd' here: did you mean bad")
        assert call(*base, "good", "--insist").exit_code == 2
        assert call(*base[:-1], "--good", 3).exit_code == 2

    def test_what_cannot_be_done(self, call, runs, make_run):
        make_run("two.h5", episodes=2)
        failed(call("samples", "two.h5", "-o", "set.h5"), "at least 3 episodes", "--images last")
        failed(call("samples", *runs, "-o", "no/set.h5"), "there is no folder no")
        failed(call("samples", "none.h5", "-o", "set.h5"), "none.h5: no such file")
        assert call("samples", *runs).exit_code == 2


class TestActivations:
    def test_one_checkpoint(self, call, sample_set, tmp_path):
        options = ("--layers", "cnn4,mlp1", "--frame", 1000, "--samples", sample_set)
        result = call("activations", "seed1.h5", "-o", "acts.nc", *options)
        assert result.exit_code == 0, result.output
        assert "mlp1       300     16" in result.stdout
        found = load_result(tmp_path / "acts.nc")
        assert found["cnn4"].shape == (300, 36)
        assert found["cnn4"].dtype == np.float32

    def test_plain_xarray_opens_it(self, call, sample_set, tmp_path):
        call("activations", "seed1.h5", "-o", "a.nc", "--layers", "mlp0", "--samples", sample_set)
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as found:
            assert found["state"].dims == ("sample", "component")

    def test_what_cannot_be_done(self, call, sample_set):
        base = ("activations", "seed1.h5", "-o", "a.nc", "--samples", sample_set)
        failed(call(*base, "--frame", 5), "no checkpoint at frame 5", "0, 1000")
        failed(call(*base, "--layers", "cnn44"), "no layer 'cnn44'", "did you mean cnn4?")
        assert call(*base, "--frame", "all").exit_code == 2


class TestProbe:
    def test_a_lone_run(self, call, runs, tmp_path):
        result = call("probe", "seed1.h5", "--max-atoms", 5)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].startswith("seed1: walker_walk, frame 1000, return 40; 82 training")
        assert lines[0].endswith("test samples, its own among them")
        assert lines[2].split() == [f"cnn{i}" for i in range(5)] + [f"mlp{i}" for i in range(3)]
        names = [line.split()[0] for line in lines[3:8]]
        assert names == ["height", "orientations[0]", "orientations[1]", "velocity[0]", "still"]
        assert all(line.count("*") == 1 for line in lines[3:7])
        assert lines[7].split()[1:] == ["-"] * 8
        assert "warning: no sample set" in result.stderr
        assert "wrote seed1.probe.nc" in result.stderr
        assert load_result(tmp_path / "seed1.probe.nc").sizes["layer"] == 8

    def test_the_table_shows_the_file(self, call, sample_set, tmp_path):
        result = call("probe", "seed1.h5", "--samples", sample_set, "--max-atoms", 5)
        stored = load_result(tmp_path / "seed1.probe.nc")
        shown = result.stdout.splitlines()[3].replace("*", " ").replace("+", " ").split()[1:]
        expected = stored["test_r2"].sel(component="height").values.ravel()
        assert shown == [f"{value:.2f}" for value in expected]
        assert "its own left out" in result.stdout
        assert result.stderr == "wrote seed1.probe.nc\n"

    def test_json(self, call, sample_set):
        options = ("--samples", sample_set, "--layers", "cnn4,mlp0", "--max-atoms", 3, "--json")
        result = call("probe", "seed1.h5", *options, "--components", "torso_height,still")
        found = json.loads(result.stdout)
        assert found["attributes"]["arguments"]["max_atoms"] == 3
        assert len(found["records"]) == 4
        assert {record["component"] for record in found["records"]} == {"height", "still"}
        assert found["records"][1]["test_r2"] is None

    def test_several_frames_and_a_picture(self, call, sample_set, tmp_path):
        options = ("--samples", sample_set, "--frames", "all", "--max-atoms", 3)
        result = call("probe", "seed1.h5", *options, "--plot", "a.pdf", "--layers", "cnn0,mlp2")
        assert result.exit_code == 0, result.output
        assert "the last of 2 frames is shown" in result.stdout
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
        assert load_result(tmp_path / "seed1.probe.nc")["frame"].values.tolist() == [0, 1000]

    def test_controls(self, call, sample_set):
        base = ("probe", "seed1.h5", "--samples", sample_set, "--layers", "cnn0,mlp0")
        options = ("--max-atoms", 3, "--control", "shuffled", "--control", "blank")
        result = call(*base, *options)
        assert result.exit_code == 0, result.output
        lines = [line.split() for line in result.stdout.splitlines()]
        names = [" ".join(line[:-2]) for line in lines if line]
        told = names[names.index("still") + 1 :][:3]
        assert told == ["median of all", "median, shuffled", "median, blank"]
        stored = load_result("seed1.probe.nc")
        shown = next(line for line in lines if line[:2] == ["median,", "blank"])[2:]
        medians = stored["control_test_r2"].sel(control="blank").median("component").values.ravel()
        assert [float(text) for text in shown] == pytest.approx(medians, abs=0.0051)
        found = json.loads(call(*base, *options, "--json").stdout)["records"][0]
        control = found["controls"]["shuffled"]
        difference = found["test_r2"] - max(control["control_test_r2"], 0)
        assert control["selectivity"] == pytest.approx(difference)
        assert call(*base, "--control", "random").exit_code == 2

    def test_a_control_above_the_trained_network_is_warned_of_and_drawn(self, call, sample_set):
        """The networks of these runs are as they were drawn: no better than the control."""
        base = ("probe", "seed1.h5", "--samples", sample_set, "--layers", "cnn1,mlp0")
        done = call(*base, "--max-atoms", 3, "--control", "blank", "--plot", "a.svg")
        stored = load_result("seed1.probe.nc")
        own = stored["test_r2"].median("component").squeeze()
        blank = stored["control_test_r2"].median("component").squeeze()
        above = [
            str(name)
            for name in stored["layer"].values
            if blank.sel(layer=name) > own.sel(layer=name)
        ]
        assert above
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("warning")]
        assert "seed1 holds no more than its control (median, blank) in" in line
        assert [name for name in ("cnn1", "mlp0") if name in line] == above
        drawn = figures.layers(stored).figure
        labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
        assert labels[-2:] == ["median of all", "median, blank"]

    def test_splits_and_kinds_of_probe(self, call, sample_set):
        base = ("probe", "seed1.h5", "--samples", sample_set, "--layers", "cnn4,mlp0")
        options = ("--max-atoms", 3, "--splits", 3, "--probe", "omp,mlp", "--control", "width")
        result = call(*base, *options)
        assert result.exit_code == 0, result.output
        lines = [line.split() for line in result.stdout.splitlines() if line]
        rows = {line[0]: line[1:] for line in lines}
        stored = load_result("seed1.probe-omp-mlp.nc").isel(run=0, frame=0)
        medians = stored["probe_test_r2"].sel(probe="mlp").median("component").values
        assert [float(text) for text in rows["mlp"]] == pytest.approx(medians, abs=0.0051)
        gaps = stored["nonlinear_gap"].median("component").values
        assert [float(text) for text in rows["gap"]] == pytest.approx(gaps, abs=0.0051)
        own, mean, least, most, low, _, high = rows["cnn4"]
        expected = stored["splits_r2"].sel(layer="cnn4").values
        assert [float(text) for text in (mean, low, high)] == pytest.approx(expected, abs=0.0051)
        assert float(least) <= float(own) <= float(most)
        found = json.loads(call(*base, *options, "--json").stdout)["records"][0]
        assert found["splits"]["0"]["split_test_r2"] == found["test_r2"]
        assert set(found["probes"]) == {"omp", "mlp"}
        failed(call(*base, "--probe", "omp,ridgy"), "no probe 'ridgy' here: did you mean ridge?")
        assert call(*base, "--probe", "ridge,mlp", "--max-atoms", 3).exit_code == 2

    def test_an_interrupt_says_how_to_go_on(self, call, sample_set, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("vrlprobe.analyses.probe", interrupted)
        kept = call("probe", "seed1.h5", "--samples", sample_set)
        assert (kept.exit_code, kept.stderr) == (
            130, "stopped; the same command goes on where it stopped\n",
        )  # fmt: skip
        assert (
            call("probe", "seed1.h5", "--samples", sample_set, "--no-cache").stderr == "stopped\n"
        )
        monkeypatch.setattr("vrlprobe.analyses.metrics", interrupted)
        assert call("metrics", "seed1.h5", "--samples", sample_set).stderr == "stopped\n"

    def test_the_cache(self, call, sample_set, tmp_path, own_cache):
        base = ("probe", "seed1.h5", "--samples", sample_set, "--layers", "mlp0,mlp1")
        assert call(*base, "--no-cache").exit_code == 0
        assert not list(own_cache.glob("**/*.json"))
        first = call(*base, "--cache", "here")
        assert len(list(tmp_path.glob("here/**/*.json"))) == 2
        assert call(*base).stdout == first.stdout
        assert len(list(own_cache.glob("vrlprobe/**/*.json"))) == 2

    @pytest.mark.parametrize(("kind", "word"), [("ridge", "penalty"), ("mlp", "R²")])
    def test_other_probes(self, call, sample_set, kind, word):
        base = ("probe", "seed1.h5", "--samples", sample_set, "--layers", "mlp2")
        result = call(*base, "--probe", kind)
        assert result.exit_code == 0, result.output
        assert word in result.stdout
        assert "atoms" not in result.stdout

    def test_several_runs_go_into_one_result(self, call, sample_set, tmp_path):
        options = ("--samples", sample_set, "--layers", "mlp0", "--max-atoms", 2)
        result = call("probe", "seed1.h5", "seed2.h5", *options, "-o", "both.nc")
        assert result.exit_code == 0, result.output
        assert load_result(tmp_path / "both.nc")["run"].values.tolist() == ["seed1", "seed2"]
        assert "seed2: walker_walk" in result.stdout
        result = call("probe", "seed1.h5", "seed2.h5", *options)
        assert result.exit_code == 2
        assert "name its file with -o" in result.stderr

    def test_run_files_as_samples(self, call, runs):
        options = [part for run in runs for part in ("--samples", run)]
        result = call("probe", "seed1.h5", *options, "--layers", "mlp0", "--max-atoms", 2)
        assert result.exit_code == 0, result.output
        assert "246" not in result.stderr
        assert result.stderr == "wrote seed1.probe.nc\n"

    def test_typos_are_one_line_with_what_is_near(self, call, sample_set):
        base = ("probe", "seed1.h5", "--samples", sample_set)
        failed(call(*base, "--layers", "cn4"), "no layer 'cn4': did you mean cnn4?")
        failed(call(*base, "--components", "heigth"), "no component 'heigth': did you mean height")
        failed(call(*base, "--frames", 900), "no checkpoint at frame 900; the nearest are 0, 1000")
        failed(call(*base, "--frames", "lats"), "'lats' (did you mean last?)")

    def test_mistakes_are_found_before_the_work_is_done(self, call, sample_set, tmp_path):
        base = ("probe", "seed1.h5", "--samples", sample_set)
        failed(call(*base, "--plot", "a.jpg"), "must end in .pdf, .png, .svg")
        failed(call(*base, "-o", "no/a.nc"), "there is no folder no")
        failed(
            call("probe", "seed1.h5", "--samples", "seed1.h5", "--samples", "set.h5"), "is a set"
        )
        (tmp_path / "text").write_text("not a run, not a set")
        failed(call("probe", "text"), "not an HDF5 file")
        failed(call("probe", "seed1.h5", "--samples", "text"), "not an HDF5 file")
        assert not (tmp_path / "seed1.probe.nc").exists()

    def test_no_output_takes_the_place_of_a_run(self, call, runs, tmp_path):
        before = (tmp_path / runs[0]).read_bytes()
        for command in ("probe", "activations", "samples"):
            failed(call(command, runs[0], "-o", runs[0]), "is named twice", code=2)
            failed(call(command, runs[1], "-o", runs[0]), "cannot write seed1.h5: ")
        failed(call("probe", runs[0], "-o", "."), "it is a folder")
        assert (tmp_path / runs[0]).read_bytes() == before

    def test_no_result_takes_the_place_of_the_samples(self, call, runs, sample_set, tmp_path):
        before = (tmp_path / sample_set).read_bytes()
        for command in ("probe", "metrics", "activations"):
            made = call(command, runs[0], "--samples", sample_set, "-o", sample_set)
            failed(made, "is named twice", code=2)
            made = call(command, runs[0], "--samples", runs[0], "-o", sample_set)
            failed(made, "a result of")
        assert (tmp_path / sample_set).read_bytes() == before
        assert call("samples", runs[0], "--insist", "-o", sample_set).exit_code == 0

    def test_an_empty_list_is_a_mistake(self, call, runs):
        for option in ("--layers", "--components", "--frames"):
            failed(call("probe", runs[0], option, ","), "needs a name", code=2)

    def test_a_run_without_images_and_no_set(self, call, make_run):
        make_run("blind.h5", images=False)
        failed(call("probe", "blind.h5"), "at least 3 episodes with images", "--images last")


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("probe", "--layers", "cnn44"),
        ("probe", "--components", "heigth"),
        ("probe", "--frames", "7"),
        ("probe", "--min-active", "100000"),
        ("metrics", "--layers", "cnn44"),
        ("activations", "--layers", "cnn44"),
        ("activations", "--frame", "7"),
        ("plot units", "--layers", "cnn44"),
        ("plot units", "--components", "heigth"),
    ],
)
def test_an_error_stands_alone(call, make_run, command, option, value):
    """What the samples are worth is told when there is something to come of them."""
    make_run("a.h5", frames=(0, 1000))
    output = "a.pdf" if "plot" in command else "a.nc"
    told = call(*command.split(), "a.h5", option, value, "-o", output)
    failed(told)
    assert told.stderr.count("\n") == 1, told.stderr
