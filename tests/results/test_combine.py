"""Results of several runs make one."""

import json

import pytest
import xarray as xr

from vrlprobe.errors import FormatError
from vrlprobe.results.combine import combine_results
from vrlprobe.results.file import provenance


class TestCombine:
    def other(self, dataset, **arguments):
        made = provenance("probe", {"max_atoms": 5, **arguments})
        checkpoint = xr.full_like(dataset["checkpoint"], "b1")
        return dataset.assign(checkpoint=checkpoint).assign_coords(run=["seed4"]).assign_attrs(made)

    def test_runs_come_one_after_the_other(self, dataset):
        whole = combine_results(
            {"a": dataset, "b": self.other(dataset, frames="all", device="cuda")}
        )
        assert whole["run"].values.tolist() == ["seed3", "seed4"]

    def test_what_only_some_have_is_left_out_with_a_warning(self, dataset):
        newer = self.other(dataset).assign(new=dataset["test_r2"].assign_coords(run=["seed4"]))
        for results in ({"a": dataset, "b": newer}, {"b": newer, "a": dataset}):
            with pytest.warns(UserWarning, match=r"^left out: new, which a lacks: make all"):
                assert set(combine_results(results)) == set(dataset)

    def test_other_runs_of_one_name_are_numbered_and_the_same_run_is_refused(self, dataset):
        def seed3(digest):
            checkpoint = xr.DataArray([["", digest]], dims=("run", "frame"))
            configs = json.dumps({"seed3": {"digest": digest}})
            return dataset.assign(checkpoint=checkpoint).assign_attrs(configs=configs)

        whole = combine_results({"a": seed3("a1"), "b": seed3("b1"), "c": seed3("c1")})
        assert whole["run"].values.tolist() == ["seed3", "seed3#2", "seed3#3"]
        assert whole["checkpoint"].values[:, 1].tolist() == ["a1", "b1", "c1"]
        assert json.loads(whole.attrs["configs"])["seed3#2"] == {"digest": "b1"}
        with pytest.raises(FormatError, match="the run seed3#2 is in b and in c: give one"):
            combine_results({"a": seed3("a1"), "b": seed3("b1"), "c": seed3("b1")})

    def of_frames(self, dataset, seed=3, **digests):
        """Runs of one label: `at_0="a0"` is the digest at frame 0."""
        frames = [int(name.removeprefix("at_")) for name in digests]
        part = dataset.isel(frame=[0] * len(frames)).assign_coords(frame=frames)
        checkpoint = xr.DataArray([list(digests.values())], dims=("run", "frame"))
        configs = json.dumps({"seed3": {"seed": seed}})
        return part.assign(checkpoint=checkpoint).assign_attrs(configs=configs)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"at_0": "a0", "at_8": "a8"}, {"at_8": "a8", "at_20": "a20"}),
            ({"at_8": "a8", "at_20": "a20"}, {"at_0": "a0", "at_8": "a8"}),
            ({"at_0": "a0", "at_8": "a8"}, {"at_20": "a20"}),
            ({"at_0": "a0", "at_8": "a8"}, {"at_0": "a0", "at_20": "a20"}),
        ],
    )
    def test_one_run_at_other_frames_is_refused(self, dataset, one, other):
        results = {"a": self.of_frames(dataset, **one), "b": self.of_frames(dataset, **other)}
        with pytest.raises(FormatError, match="the run seed3 is in a and in b: give one"):
            combine_results(results)

    def test_another_seed_or_another_checkpoint_at_a_frame_is_another_run(self, dataset):
        first = self.of_frames(dataset, at_0="a0", at_8="a8")
        for second in (
            self.of_frames(dataset, seed=4, at_20="a20"),
            self.of_frames(dataset, at_8="b8", at_20="b20"),
        ):
            whole = combine_results({"a": first, "b": second})
            assert whole["run"].values.tolist() == ["seed3", "seed3#2"]

    @pytest.mark.parametrize("changed", [{"max_atoms": 6}, {"probe": "ridge"}])
    def test_other_options_are_refused(self, dataset, changed):
        (option,) = changed
        with pytest.raises(FormatError, match=f"a was made with {option} .*, b with"):
            combine_results({"a": dataset, "b": self.other(dataset, **changed)})

    def test_another_number_of_samples_is_refused(self, dataset):
        one, other = dataset.assign_attrs(n_samples=10), self.other(dataset)
        with pytest.raises(FormatError, match="with n_samples 10, b with 20"):
            combine_results({"a": one, "b": other.assign_attrs(n_samples=20)})

    def test_controls_in_one_only_are_refused(self, dataset):
        other = self.other(dataset).expand_dims(control=["none", "blank"])
        with pytest.raises(FormatError, match="different controls"):
            combine_results({"a": dataset, "b": other})
