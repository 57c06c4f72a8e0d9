"""Stitched pairs against their parts written out by hand, planted faults, and real agents."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.metrics import r2_score

from tests.analyses.planted import break_cnn, break_mlp, reorder
from vrlprobe import metrics
from vrlprobe.analyses import stitch
from vrlprobe.analyses.shared.blame import answer, collapsing
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode
from vrlprobe.errors import FormatError, SampleError, TransplantError, UnknownFrameError
from vrlprobe.results.file import load_result, save_result
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = Path(__file__).parents[2] / "fixtures"
COLLAPSED, LEARNED = (FIXTURES / f"walker_walk-{name}.h5" for name in ("collapsed", "learned"))
CARTPOLE = {
    **{"task": "cartpole_balance", "action_dim": 1, "action_repeat": 50},
    **{"render": "fast", "channels": 3},
}
"""Twenty steps an episode."""


@pytest.fixture
def seen(make_run):
    """A sample set of synthetic episodes, more of them for training than there are features."""
    with open_run(make_run("samples.h5", seed=50, episodes=6, config=CARTPOLE)) as run:
        return make_samples(run, None)


def test_a_pair_acts_as_its_actor_on_its_encoder(plant, seen):
    paths = [plant("a.h5", 1), plant("b.h5", 2)]
    result = stitch(paths, seen, episodes=0)
    rows = seen.rows("test")
    pixels = torch.from_numpy(seen.observations(rows)).float() / 255 - 0.5
    with open_runs(*paths) as runs, torch.no_grad():
        agents = {f"{run.path.stem}@0": run.agent(0) for run in runs}
        for cnn, one in agents.items():
            for mlp, other in agents.items():
                pair = result.sel(cnn=cnn, mlp=mlp)
                actions = other.actor(one.encoder(pixels)).numpy()
                assert pair["action_spread"].item() == pytest.approx(actions.std(axis=0).mean())
                hidden = other.actor.policy[:2](other.actor.trunk(one.encoder(pixels)))
                values = np.linalg.svd(hidden.numpy().astype(np.float64))[1]
                rank = values.sum() ** 2 / (values**2).sum()
                assert pair["numerical_rank"].item() == pytest.approx(rank, rel=1e-4)
                for part, donor in (("cnn", one), ("mlp", other)):
                    own = donor.actor(donor.encoder(pixels)).numpy()
                    found = pair.sel(part=part)
                    assert found["action_mse"].item() == pytest.approx(
                        ((actions - own) ** 2).mean(), rel=1e-5, abs=1e-9
                    )
                    assert found["action_r2"].item() == pytest.approx(
                        r2_score(own, actions, multioutput="variance_weighted"), abs=1e-5
                    )
    assert result.attrs["n_test"] == len(rows)


def test_the_diagonal_is_each_donor_played_by_itself(plant, seen):
    paths = [plant("a.h5", 1), plant("b.h5", 2)]
    result = stitch(paths, seen, episodes=3, seed=4)
    sizes = {"image_size": 20, "frame_stack": 3, "action_repeat": 50, "render": "fast"}
    for path in paths:
        label = f"{path.stem}@0"
        with open_run(path) as run, PixelEnv("cartpole_balance", **sizes) as env:
            agent, returns = run.agent(0), []
            for start in np.random.SeedSequence(4).generate_state(3):
                env.random_state.seed(start)
                returns.append(record_episode(env, agent.act).episode_return)
        own = result.sel(cnn=label, mlp=label)
        assert own["episode_return"].values.tolist() == returns
        assert len(set(returns)) == 3
        assert own["mean_return"].sel(bound="estimate") == np.mean(returns)
        assert (own["relative_return"].sel(bound="estimate") == 1).all()
        assert (own["action_mse"] == 0).all()
        assert (own["action_r2"] == 1).all()
    fewer = stitch(paths, seen, episodes=1, seed=4)
    assert fewer["episode_return"].equals(result["episode_return"].isel(episode=[0]))
    off = result.sel(cnn="a@0", mlp="b@0")
    share = off["episode_return"].mean() / result["episode_return"].sel(cnn="b@0", mlp="b@0").mean()
    assert off["relative_return"].sel(part="mlp", bound="estimate").item() == pytest.approx(share)


@pytest.mark.parametrize("seed", range(20))
def test_the_broken_part_is_named_and_no_other(plant, seen, seed):
    whole = plant("whole.h5", 100 + seed)
    for change, said in (
        (break_mlp, "the MLP of broken@0 collapses every encoder tried"),
        (break_cnn, "the encoder of broken@0 collapses every MLP tried"),
    ):
        broken = plant("broken.h5", 200 + seed, change)
        text = stitch([whole, broken], seen, episodes=0).attrs["answer"]
        assert text.startswith(said)
        assert text.count("collapse") == 1
        broken.unlink()
    text = stitch([whole, plant("other.h5", 200 + seed)], seen, episodes=0).attrs["answer"]
    assert text.startswith("every trained checkpoint acts (action std ")
    assert text.endswith("no part is to blame")


def test_two_broken_parts_of_one_agent_are_both_named(plant, seen):
    def both(parameters):
        break_cnn(parameters)
        break_mlp(parameters)

    text = stitch([plant("a.h5", 1), plant("b.h5", 2, both)], seen, episodes=0).attrs["answer"]
    assert "the MLP of b@0 collapses every encoder tried" in text
    assert "the encoder of b@0 collapses every MLP tried" in text
    assert "serves" not in text


def test_without_a_pair_that_acts_no_part_is_blamed(plant, seen):
    paths = [plant("a.h5", 1, break_mlp), plant("b.h5", 2, break_cnn), plant("c.h5", 3, break_mlp)]
    text = stitch(paths[::2], seen, episodes=0).attrs["answer"]
    assert text.startswith("no pair acts (action std at most ")
    assert "no part can be blamed" in text


def test_a_part_is_blamed_only_beside_a_partner_that_acts():
    """Tables of pairs, CNN down and MLP across: 1 acts, 0 does not, NaN was not tried."""
    untried = np.nan
    for table, cnn, mlp in (
        ([[1, 0], [1, 0]], [], [1]),
        ([[1, 1], [0, 0]], [1], []),
        ([[1, 1], [1, 0]], [], []),
        ([[1, 0], [0, 0]], [1], [1]),
        ([[0, 0], [0, 0]], [], []),
        ([[1, untried], [untried, 0]], [], []),
        ([[1, 0, 1], [1, 0, 1], [untried, 0, 0]], [2], [1]),
    ):
        assert collapsing(table) == {"cnn": cnn, "mlp": mlp}, table


def test_a_collapsed_pair_of_parts_that_act_with_others(plant, seen):
    result = stitch([plant("a.h5", 1), plant("b.h5", 2)], seen, episodes=0)
    result["action_spread"].loc["b@0", "b@0"] = 0.0
    assert answer(result) == (
        "b@0 is collapsed, but neither of its parts collapses every other: its MLP acts with the "
        "encoder of a@0 and its encoder acts with the MLP of a@0"
    )


def test_how_the_other_part_serves_is_told_with_its_interval(plant, seen):
    paths = [plant("a.h5", 1), plant("b.h5", 2, break_mlp)]
    result = stitch(paths, seen, episodes=7)
    pair, own = result.sel(cnn="b@0", mlp="a@0"), result.sel(cnn="a@0", mlp="a@0")
    estimate, low, high = 100 * pair["relative_return"].sel(part="mlp").values
    assert low < estimate < high
    means = [each["episode_return"].mean().item() for each in (pair, own)]
    assert estimate == pytest.approx(100 * means[0] / means[1])
    assert result.attrs["answer"].endswith(
        f"; the encoder of b@0 serves the MLP of a@0 at {estimate:.0f}% of that agent's own return "
        f"({means[0]:.0f} of {means[1]:.0f} over 7 episodes, 95% interval {low:.0f} to {high:.0f}%)"
    )
    few = stitch(paths, seen, episodes=1).attrs["answer"]
    assert "over 1 episode, too few for an interval)" in few


def test_a_linear_map_brings_the_actions_back_where_features_are_in_another_order(plant, seen):
    paths = [plant("a.h5", 1), plant("b.h5", 1, reorder)]
    result = stitch(paths, seen, episodes=0, adapter=True)
    r2 = result["action_r2"].sel(part="mlp")
    assert r2.sel(cnn="b@0", mlp="b@0", adapter="none") == 1
    for cnn, mlp in (("a@0", "b@0"), ("b@0", "a@0")):
        assert r2.sel(cnn=cnn, mlp=mlp, adapter="none") < 0.5
        assert r2.sel(cnn=cnn, mlp=mlp, adapter="ridge") > 0.999
        assert result["adapter_r2"].sel(cnn=cnn, mlp=mlp, adapter="ridge") > 0.999
    assert result["adapter_r2"].sel(adapter="none").isnull().all()


def test_widths_that_differ_need_a_map(plant, seen):
    paths = [plant("a.h5", 1), plant("wide.h5", 2, channels=4)]
    with pytest.warns(UserWarning, match=r"CNN of a@0 \(27\) with MLP of wide@0 \(36\)"):
        result = stitch(paths, seen, episodes=1, adapter=True)
    off = result.sel(cnn="a@0", mlp="wide@0")
    for name in ("action_spread", "episode_return", "mean_return", "action_r2"):
        assert off[name].sel(adapter="none").isnull().all()
    for name in ("action_spread", "episode_return", "adapter_r2", "adapter_penalty"):
        assert off[name].sel(adapter="ridge").notnull().all()
    assert result["n_features"].values.tolist() == [27, 36]


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_jobs(plant, seen, tmp_path):
    paths = [plant("a.h5", 1), plant("b.h5", 2)]
    for name, jobs in (("one.nc", 1), ("two.nc", 2)):
        result = stitch(paths, seen, episodes=1, adapter=True, n_jobs=jobs)
        save_result(result, tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.nc", "two.nc"))
    assert one == two
    xr.testing.assert_identical(load_result(tmp_path / "one.nc"), result)


def test_what_was_played_is_not_played_again(plant, seen, tmp_path):
    paths = [plant("a.h5", 1), plant("b.h5", 2)]
    counts = []

    def count(items):
        counts.append(len(items))
        return items

    settings = {"episodes": 1, "cache": tmp_path / "cache", "track": count}
    first = stitch(paths, seen, **settings)
    assert first.identical(stitch(paths, seen, **settings))
    stitch(paths, seen, adapter=True, **settings)
    stitch([*paths, "blank"], seen, **settings)
    stitch(paths, seen, seed=1, **settings)
    assert counts == [4, 0, 4, 5, 4]


def test_checkpoints_by_name(make_run, seen):
    path = make_run("a.h5", seed=1, frames=(0, 1000, 2000), config=CARTPOLE)
    with open_run(path) as run:
        for given, frames, options in (
            (f"{path}@all", [0, 1000, 2000], {}),
            (f"{path}@0,2_000", [0, 2000], {}),
            ([f"{path}@1000", path], [1000, 2000], {}),
            (run, [0, 1000, 2000], {"frames": "all"}),
            ([run, f"{path}@0"], [2000, 0], {}),
        ):
            result = stitch(given, seen, episodes=0, **options)
            assert result["donor"].values.tolist() == [f"a@{frame}" for frame in frames]
            assert result["donor_frame"].values.tolist() == frames
            assert result["checkpoint"].values.tolist() == [run.digest(f) for f in frames]


def test_classes_are_other_runs_at_each_mention(make_run, tmp_path, seen):
    for name, seed, reward in (("a", 1, 1.0), ("b", 2, 1.0), ("c", 3, 0.1)):
        make_run(f"{name}.h5", seed=seed, reward=reward, config=CARTPOLE)
    (tmp_path / "samples.h5").unlink(missing_ok=True)
    result = stitch(["good", "good", "bad", "blank"], seen, runs=tmp_path, episodes=0)
    assert result["donor"].values.tolist() == ["good#1", "good#2", "bad", "blank"]
    assert sorted(result["donor_run"].values[:2]) == ["a.h5", "b.h5"]
    assert result["trained"].values.tolist() == [True, True, True, False]
    with pytest.raises(TransplantError, match="bad#1 and bad#2 are one checkpoint"):
        stitch(["bad", "bad"], seen, runs=tmp_path, episodes=0)


def test_mistakes(plant, make_run, seen):
    first = plant("a.h5", 1)
    for given, error, message in (
        (first, TransplantError, "needs two checkpoints or more, .* found a@0"),
        ([first, first], TransplantError, "a@0#1 and a@0#2 are one checkpoint"),
        (["blank", "blank"], TransplantError, "blank parts need a run"),
        ([first, "self"], TransplantError, "self means the other part's donor"),
        ([first, "blank@all"], TransplantError, "blank has no checkpoints"),
        ([first, "good@all"], UnknownFrameError, "not 'all'"),
        ([f"{first}@0,last"], UnknownFrameError, "several checkpoints are frames, .* not 'last'"),
        ([f"{first}@0,7"], UnknownFrameError, "no checkpoint at frame 7"),
        ([first, "none.h5"], TransplantError, "none.h5: no such file"),
    ):
        with pytest.raises(error, match=message):
            stitch(given, seen)
    for name, config, message in (
        ("large.h5", {"image_size": 24}, "large.h5 cannot be .* a.h5: image_size is 24, there 20"),
        ("deep.h5", {"frame_stack": 1}, "deep.h5 cannot be .*: frame_stack is 1, there 3"),
        ("walk.h5", {"task": "walker_walk", "action_dim": 6}, "task is walker_walk"),
        ("plain.h5", {"render": "full"}, r"render differently \(fast, full\)"),
    ):
        other = plant(name, 2, **config)
        with pytest.raises(TransplantError, match=message):
            stitch([first, other], seen)
    with pytest.raises(SampleError, match="is of cartpole_balance, the samples are of walker_walk"):
        stitch([first, plant("b.h5", 3)], make_samples([open_run(LEARNED)], 60))
    with pytest.raises(ValueError, match="episodes must be at least 0"):
        stitch([first, "blank"], seen, episodes=-1)
    notes = first.with_name("notes.h5")
    notes.write_text("no run")
    with pytest.raises(FormatError, match="so not a run"):
        stitch([first, notes], seen)


def test_an_agent_with_another_number_of_actions_than_the_task(plant, seen):
    paths = [plant(name, seed, action_dim=2) for name, seed in (("a.h5", 1), ("b.h5", 2))]
    message = r"CNN of a@0 .* with MLP of a@0 .*: the agent has 2 actions, cartpole_balance takes 1"
    with pytest.raises(SampleError, match=message):
        stitch(paths, seen, episodes=1)


def test_the_fixtures():
    """A collapsed walker's MLP collapses a good CNN; its CNN leaves a good MLP acting."""
    with open_runs(COLLAPSED, LEARNED) as runs:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stitch(runs, episodes=0)
        told = [str(each.message) for each in caught]
        assert any(text.startswith("no sample set: actions are compared on the") for text in told)
        assert any("walker_walk-collapsed.h5 returns 24 (good: 250)" in text for text in told)
        samples = make_samples(runs[1], 500)
        result = stitch(runs, samples, episodes=0)
        assert result["n_features"].values.tolist() == [4624, 4624]
        spread = result["action_spread"].values
        assert spread[:, 0].max() < 1e-6
        assert spread[:, 1].min() > 0.4
        assert result.attrs["answer"].startswith(
            "the MLP of walker_walk-collapsed@100000 collapses every encoder tried (action std"
        )
        rows = samples.observations(samples.rows("test"))
        assert spread[1, 1] == pytest.approx(metrics.action_std(runs[1].agent(100_000).act(rows)))
        early = stitch(f"{LEARNED}@0,100000", samples, episodes=0)
    assert early["trained"].values.tolist() == [False, True]
    assert early.attrs["answer"].startswith("every trained checkpoint acts")
