"""The probe study against a refit written out with scikit-learn, and its rules about samples."""

import copy
import json

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.linear_model import LinearRegression, orthogonal_mp
from sklearn.metrics import r2_score

from vrlprobe import figures
from vrlprobe.agents.activations import extract_activations
from vrlprobe.agents.own import register_agent
from vrlprobe.analyses import import_checkpoints, probe, transplant
from vrlprobe.analyses.shared import jobs as planning
from vrlprobe.errors import SampleError, UnknownFrameError, UnknownLayerError
from vrlprobe.results.file import load_result, save_result
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

ATOMS = 6


def by_scikit_learn(features, target, rows, atoms=ATOMS):
    """Test error, R² and sparsity of one layer and component, by refits at every sparsity."""
    train, val, test = (rows[name] for name in ("train", "val", "test"))
    X = features.astype(np.float64)
    centred = X[train] - X[train].mean(axis=0)
    live = np.flatnonzero(np.linalg.norm(centred, axis=0) > 1e-4)
    unit = centred[:, live] / np.linalg.norm(centred[:, live], axis=0)
    errors, fits = [np.mean((target[val] - target[train].mean()) ** 2)], [None]
    for size in range(1, atoms + 1):
        coef = orthogonal_mp(unit, target[train] - target[train].mean(), n_nonzero_coefs=size)
        chosen = live[np.flatnonzero(coef)]
        fit = LinearRegression().fit(X[train][:, chosen], target[train])
        errors.append(np.mean((target[val] - fit.predict(X[val][:, chosen])) ** 2))
        fits.append((fit, chosen))
    best = int(np.argmin(errors))
    fitted = np.full(len(test), target[train].mean())
    if best:
        fit, chosen = fits[best]
        fitted = fit.predict(X[test][:, chosen])
    return np.mean((target[test] - fitted) ** 2), r2_score(target[test], fitted), best


@pytest.mark.parametrize("layer", ["cnn1", "mlp1"])
def test_scores_are_those_of_refits_by_scikit_learn(other, samples, layer):
    result = probe(other, samples, layers=[layer], max_atoms=ATOMS).isel(run=0, frame=0, layer=0)
    rows = {name: samples.rows(name) for name in ("train", "val", "test")}
    everything = samples.observations(np.arange(len(samples)))
    features = extract_activations(other.agent(3000), everything, [layer])[layer]
    for place, name in enumerate(samples.components[:4]):
        error, r2, sparsity = by_scikit_learn(features, samples.states[:, place], rows)
        found = result.sel(component=name)
        assert found["sparsity"] == sparsity
        assert found["test_mse"].item() == pytest.approx(error, rel=1e-6)
        assert found["test_r2"].item() == pytest.approx(r2, rel=1e-6, abs=1e-9)


def test_what_the_result_holds(other, samples):
    result = probe(other, samples, max_atoms=ATOMS)
    assert result["test_r2"].dims == ("run", "frame", "layer", "component")
    layers = ["cnn0", "cnn1", "cnn2", "cnn3", "cnn4", "mlp0", "mlp1", "mlp2"]
    assert result["layer"].values.tolist() == layers
    assert result["frame"].values.tolist() == [3000]
    assert result["run"].values.tolist() == ["other"]
    assert result["n_features"].sel(layer="mlp0").item() == 10
    assert np.isnan(result["test_r2"].sel(component="still")).all()
    assert (result["test_mse"].sel(component="still") < 1e-20).all()
    assert result["test_r2"].sel(layer="cnn0", component="height").item() > 0.8
    test = samples.states[samples.rows("test")]
    mean = samples.states[samples.rows("train")].mean(axis=0)
    expected = ((test - mean) ** 2).mean(axis=0)
    np.testing.assert_allclose(result["mean_mse"][0], expected, atol=1e-20)
    assert result["episode_return"].item() == pytest.approx(4.0)
    assert result["final_return"].item() == pytest.approx(4.0)
    assert result["checkpoint"].item() == other.digest(3000)
    assert result.attrs["samples"] == samples.digest
    assert json.loads(result.attrs["arguments"])["max_atoms"] == ATOMS


def test_names_and_frames_are_taken_from_a_result(other, samples):
    first = probe(other, samples, layers=["cnn4", "mlp1"], components=["height"], max_atoms=1)
    again = {"layers": first["layer"], "components": first["component"], "frames": first["frame"]}
    xr.testing.assert_equal(first, probe(other, samples, max_atoms=1, **again))
    figures.layers(first, components=first["component"])
    one = first.isel(layer=0, component=0, frame=0)
    again = {"layers": one["layer"], "components": one["component"], "frames": one["frame"]}
    assert probe(other, samples, max_atoms=1, **again)["layer"].values.tolist() == ["cnn4"]


def test_a_name_is_no_number(other, samples):
    with pytest.raises(UnknownLayerError, match="no layer 3: there are cnn0"):
        probe(other, samples, layers=3)
    with pytest.raises(SampleError, match="no component 3: there are height"):
        probe(other, samples, components=3)
    with pytest.raises(ValueError, match="controls are shuffled, blank, width, not 3"):
        probe(other, samples, controls=3)


def test_the_last_return_is_told_of_a_run_that_is_probed_early(opened, samples):
    options = {"layers": ["mlp0"], "max_atoms": 1}
    run = opened("late.h5", seed=7, frames=(0, 1000, 2000), reward=0.5)
    early = probe(run, samples, frames=[0], **options)
    assert early["final_return"].item() == run.returns[-1] == pytest.approx(20.0)
    unplayed = opened("unplayed.h5", seed=8, episodes=0, log={"episode_return": [1.0, 7.0, np.nan]})
    assert probe(unplayed, samples, frames=[0], **options)["final_return"].item() == 7.0


def test_the_largest_sparsity_is_flagged(other, samples):
    result = probe(other, samples, layers=["cnn0"], components=["height"], max_atoms=1)
    assert result["sparsity"].item() == 1
    assert result["at_edge"].all()
    every = probe(other, samples, layers=["mlp0"], max_atoms=10)  # as many atoms as units
    assert not every["at_edge"].any()


def test_numbers_of_numpy_and_torchs_device_are_taken_as_pythons_own(other, samples):
    settings = {"max_atoms": 3, "min_active": 4, "device": "cpu"}
    alike = {"max_atoms": np.int64(3), "min_active": np.uint8(4), "device": torch.device("cpu")}
    one, two = (probe(other, samples, layers=["mlp1"], **given) for given in (settings, alike))
    assert two.identical(one)


class TestFrames:
    def test_all_last_best_and_given(self, other, samples):
        def frames(which):
            found = probe(other, samples, frames=which, layers=["mlp2"], max_atoms=1)
            return found["frame"].values.tolist()

        assert frames("all") == [0, 1000, 3000]
        assert frames("last") == [3000]
        assert frames("best") == [0]  # all equal: the earliest
        assert frames([1000, 0]) == [0, 1000]
        assert frames({3000, 0}) == [0, 3000]
        with pytest.raises(UnknownFrameError, match="frame 500; the nearest are 0, 1000"):
            frames([500])
        with pytest.raises(UnknownFrameError, match=r"'al' \(did you mean all\?\)"):
            frames("al")

    def test_runs_of_different_length(self, other, good, samples):
        runs = [good[0], other]
        options = {"layers": ["mlp2"], "components": ["height"], "max_atoms": 2, "keep_own": True}
        result = probe(runs, samples, **options)
        assert result["frame"].values.tolist() == [1000, 3000]
        missing = np.isnan(result["test_mse"].squeeze(("layer", "component")).values)
        assert missing.tolist() == [[False, True], [True, False]]
        assert result["sparsity"].values.ravel()[1] == -1

    def test_the_raw_input_is_fitted_once(self, other, samples, monkeypatch):
        calls = []

        def counted(*arguments):
            calls.append(arguments)
            return fit_layer(*arguments)

        fit_layer = planning.fit_layer
        monkeypatch.setattr(planning, "fit_layer", counted)
        result = probe(other, samples, frames="all", layers=["cnn0", "mlp2"], max_atoms=2)
        assert len(calls) == 1 + 3
        errors = result["test_mse"].sel(layer="cnn0").values[0]
        np.testing.assert_array_equal(errors[0], errors[2])
        assert (result["n_features"].sel(layer="cnn0") == 3600).all()


def test_little_memory_changes_nothing(other, samples, monkeypatch):
    whole = probe(other, samples, max_atoms=3)
    monkeypatch.setattr(planning, "GROUP_BYTES", 1)
    assert probe(other, samples, max_atoms=3).identical(whole)


def test_the_same_call_gives_the_same_bytes(other, samples, tmp_path):
    for name in ("a.nc", "b.nc"):
        save_result(probe(other, samples, max_atoms=3), tmp_path / name)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    assert load_result(tmp_path / "a.nc").identical(probe(other, samples, max_atoms=3))


class TestWhoseSamples:
    def test_own_and_donors_episodes_stay_out_of_the_test_set(self, good, other, samples, tmp_path):
        with pytest.warns(UserWarning, match="tested on different episodes"):
            result = probe([*good, other], samples, frames=[1000], layers=["mlp0"], max_atoms=1)
        assert result["contributed"].values.tolist() == [True, True, True, False]
        sizes = [len(samples.rows("test", without=(i,))) for i in range(3)]
        assert result["n_test"].values.tolist() == [*sizes, len(samples.rows("test"))]
        assert min(sizes) < len(samples.rows("test"))
        transplant(good[0], good[1]).save(tmp_path / "cell.h5")
        with open_run(tmp_path / "cell.h5") as cell:
            of_both = probe(cell, samples, layers=["mlp0"], max_atoms=1)
        assert of_both["n_test"].item() == len(samples.rows("test", without=(0, 1)))
        kept = probe(good, samples, layers=["mlp0"], max_atoms=1, keep_own=True)
        assert (kept["n_test"] == len(samples.rows("test"))).all()
        assert json.loads(kept.attrs["arguments"])["keep_own"]

    def test_compared_runs_share_their_test_episodes(self, good, other, samples, tmp_path):
        transplant(good[0], other).save(tmp_path / "cell.h5")
        with open_run(tmp_path / "cell.h5") as cell:
            result = probe([cell, good[1], other], samples, layers=["mlp0"], max_atoms=1)
            cells = probe([cell, other], samples, layers=["mlp0"], max_atoms=1)
        assert result["contributed"].values.tolist() == [True, True, False]
        assert set(result["n_test"].values) == {len(samples.rows("test", without=(0, 1)))}
        assert set(cells["n_test"].values) == {len(samples.rows("test", without=(0,)))}
        assert (result["mean_mse"].std("run") < 1e-15).all()

    def test_a_set_from_the_probed_run_alone(self, good):
        with pytest.raises(SampleError, match=r"is from seed1\.h5 itself, .*`keep_own=True`"):
            probe(good[0], make_samples(good[:1]))

    def test_a_lone_run_without_a_set(self, good):
        with pytest.warns(UserWarning, match="of its own rollouts"):
            result = probe(good[0], layers=["mlp0"], max_atoms=1)
        assert result["contributed"].all()
        assert result["n_test"].item() == 41

    def test_a_lone_run_that_does_not_perform(self, other):
        with pytest.warns(UserWarning, match="own rollouts") as warned:
            probe(other, layers=["mlp0"], max_atoms=1)
        weak, alone = (str(warning.message) for warning in warned)
        assert "other.h5 returns 4 (good: 20)" in weak
        assert "of its own rollouts" in alone

    def test_runs_as_samples(self, good, other):
        result = probe(other, good, layers=["mlp0"], max_atoms=1)
        assert result.attrs["samples"] == make_samples(good).digest
        with pytest.warns(UserWarning, match="does not perform well: other"):
            probe(good[0], [other, good[1]], layers=["mlp0"], max_atoms=1)

    def test_several_runs_without_a_set(self, good):
        with pytest.raises(SampleError, match="vrlprobe samples"):
            probe(good)

    def test_another_task_is_refused(self, opened, samples):
        run = opened("runs.h5", config={"task": "walker_run"})
        with pytest.raises(SampleError, match="of walker_run, the samples are of walker_walk"):
            probe(run, samples)

    def test_another_image_size_is_refused(self, opened, samples):
        run = opened("large.h5", config={"image_size": 24})
        with pytest.raises(SampleError, match=r"large\.h5 sees images of 24 x 24 .* have 20 x 20"):
            probe(run, samples)

    def test_mixed_precision_is_warned_of(self, opened, samples):
        run = opened("half.h5", config={"precision": "bfloat16"})
        with pytest.warns(UserWarning, match="different precision .* bfloat16, float32"):
            probe(run, samples, layers=["mlp0"], max_atoms=1)


def test_what_is_not_there(other, samples):
    with pytest.raises(UnknownLayerError, match="no layer 'mlp3'"):
        probe(other, samples, layers=["mlp3"])
    with pytest.raises(SampleError, match="no component 'torso'"):
        probe(other, samples, components=["torso"])


def test_a_run_is_given_once(other, samples):
    with pytest.raises(SampleError, match="are one run: give it once"):
        probe([other, other], samples)


def test_a_diverged_network_is_one_line(other, samples, monkeypatch):
    agent = other.agent(3000)
    agent.actor.trunk[0].bias.data[3] = np.nan
    monkeypatch.setattr(other, "agent", lambda _: agent)
    with pytest.raises(SampleError, match=r"layer mlp0 of other\.h5 at frame 3000 has NaN"):
        probe(other, samples, layers=["mlp0"])


class TestControls:
    @pytest.fixture
    def result(self, other, samples):
        controls = ["shuffled", "blank"]
        return probe(other, samples, frames="all", max_atoms=3, controls=controls)

    def test_they_lie_beside_the_result(self, result, other, samples):
        plain = probe(other, samples, frames="all", max_atoms=3)
        for name in plain.data_vars:
            np.testing.assert_array_equal(result[name], plain[name])
        assert result["control_test_r2"].dims == ("control", *result["test_r2"].dims)

    def test_a_control_worse_than_the_mean_makes_no_probe_better(self, result):
        below = (result["control_test_r2"] < 0).values
        assert below.any()
        for name, wrong in zip(["shuffled", "blank"], below, strict=True):
            found = result["selectivity"].sel(control=name).values
            difference = result["test_r2"] - result["control_test_r2"].sel(control=name)
            np.testing.assert_array_equal(found[wrong], result["test_r2"].values[wrong])
            np.testing.assert_array_equal(found[~wrong], difference.values[~wrong])

    def test_blank_is_an_untrained_network_of_the_runs_seed(self, result, other, samples):
        blank = result.sel(control="blank", run="other")
        for frame in (0, 1000):
            np.testing.assert_array_equal(
                blank["control_test_mse"].sel(frame=frame), blank["control_test_mse"].isel(frame=2)
            )
        rows = {name: samples.rows(name) for name in ("train", "val", "test")}
        kind = type(other.agent(0))
        torch.manual_seed(other.config["seed"])
        agent = kind.from_config(other.config)
        everything = samples.observations(np.arange(len(samples)))
        features = extract_activations(agent, everything, ["mlp1"])["mlp1"]
        error, *_ = by_scikit_learn(features, samples.states[:, 0], rows, atoms=3)
        found = blank["control_test_mse"].sel(layer="mlp1", component="height").values
        assert found[0] == pytest.approx(error, rel=1e-6)
        same = result["test_mse"].sel(layer="cnn0").values
        np.testing.assert_array_equal(blank["control_test_mse"].sel(layer="cnn0"), same[0])

    def test_where_episodes_share_no_course_shuffled_states_leave_little_to_find(self, result):
        shuffled = result.sel(control="shuffled", component=["height", "velocity[0]"])
        assert (shuffled["control_test_r2"] < 0.3).all()
        assert shuffled["selectivity"].sel(layer="cnn0", component="height").min() > 0.4

    def test_each_is_fitted_once_whatever_holds_its_name(self, other, samples):
        options = {"layers": ["mlp0"], "max_atoms": 1}
        one = probe(other, samples, controls="shuffled", **options)
        assert one["control"].values.tolist() == ["shuffled"]
        for given in (("shuffled", "shuffled"), (name for name in ["shuffled"])):
            assert probe(other, samples, controls=given, **options).identical(one)
        plain = probe(other, samples, **options)
        assert probe(other, samples, controls=None, **options).identical(plain)

    def test_an_unknown_one(self, other, samples):
        with pytest.raises(ValueError, match="controls are shuffled, blank, width, not 'random'"):
            probe(other, samples, controls=["random"])


@pytest.mark.parametrize("kind", ["ridge", "mlp"])
def test_other_probes_give_the_same_kind_of_result(other, samples, kind):
    result = probe(other, samples, layers=["cnn0", "mlp0"], kind=kind)
    sparse = probe(other, samples, layers=["cnn0", "mlp0"], max_atoms=6)
    assert set(result.data_vars) == set(sparse.data_vars)
    assert (result["sparsity"] == result["n_features"]).all()
    assert result["test_r2"].sel(layer="cnn0", component="height").item() > 0.5
    assert json.loads(result.attrs["arguments"])["probe"] == kind
    np.testing.assert_array_equal(result["mean_mse"], sparse["mean_mse"])


def test_more_active_samples_than_there_are_leave_no_unit(other, samples):
    most = len(samples.rows("train"))
    probe(other, samples, layers=["mlp0"], max_atoms=1, min_active=most)
    with pytest.raises(SampleError, match=f"min_active is {most + 1}, but there are {most} train"):
        probe(other, samples, layers=["mlp0"], max_atoms=1, min_active=most + 1)


@pytest.mark.filterwarnings("ignore:runs and samples of different render")
def test_a_run_without_the_layers_of_the_first_is_told(other, samples, make_run, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9 * 20 * 20, 2))
    register_agent(
        "flat", lambda: copy.deepcopy(network), layers={"all": "1"}, image_shape=(9, 20, 20)
    )
    torch.save(network.state_dict(), tmp_path / "flat.pt")
    import_checkpoints(
        tmp_path / "flat.pt",
        tmp_path / "flat.h5",
        task="walker_walk",
        architecture="flat",
        episodes=0,
    )
    with open_run(tmp_path / "flat.h5") as flat:
        with pytest.raises(
            UnknownLayerError, match=r"flat\.h5, of architecture flat: no layer 'cnn0'"
        ):
            probe([other, flat], samples, max_atoms=1)
        with pytest.raises(
            UnknownLayerError, match=r"other\.h5, of architecture drqv2: no layer 'all'"
        ):
            probe([flat, other], samples, max_atoms=1)


def test_the_log_says_how_much_work_there_is(other, samples, tmp_path, caplog) -> None:
    """Nothing is said unless it is asked for: the second call finds everything fitted."""
    caplog.set_level("INFO", "vrlprobe")
    for made in (2, 0):
        caplog.clear()
        probe(other, samples, layers=["mlp1", "mlp2"], max_atoms=2, cache=tmp_path)
        (record,) = caplog.records
        assert record.name == "vrlprobe.analyses._probe"
        assert record.getMessage().startswith(f"{made} fits to make in ")
        assert record.getMessage().endswith("; 2 asked for")
