"""Intervals over repeated splits: by hand, and against the truth of a planted problem."""

import numpy as np
import pytest
from scipy import stats

from vrlprobe.samples.sample_set import SampleSet, Source
from vrlprobe.samples.split import repeated_splits, split_episodes
from vrlprobe.stats.splits import resampled_interval

EPISODES, STEPS, FEATURES, SPLITS = 10, 40, 6, 5
WEIGHTS = np.random.default_rng(1).standard_normal(FEATURES)


def test_the_formula_of_nadeau_and_bengio() -> None:
    values = np.array([0.60, 0.68, 0.61, 0.66, 0.65])
    mean, low, high = resampled_interval(values, 0.2)
    variance = (1 / 5 + 20 / 80) * values.var(ddof=1)  # 20 test episodes of 100
    reach = stats.t.ppf(0.975, 4) * np.sqrt(variance)
    assert [mean, low, high] == pytest.approx([0.64, 0.64 - reach, 0.64 + reach])
    many = resampled_interval(np.stack([values, 2 * values], axis=1), 0.2)
    np.testing.assert_allclose(many, [[mean, 2 * mean], [low, 2 * low], [high, 2 * high]])


@pytest.mark.parametrize(("values", "share"), [([0.5], 0.2), ([0.5, 0.6], 1.0)])
def test_what_says_nothing_of_other_episodes_has_no_interval(values, share) -> None:
    mean, low, high = resampled_interval(values, share)
    assert mean == np.mean(values)
    assert np.isnan([low, high]).all()


def test_it_covers_the_truth_of_a_planted_problem_at_the_nominal_rate() -> None:
    """R² of a linear probe that reads a state through noise and a disturbance of each episode."""
    rng = np.random.default_rng(0)
    population, states = recorded(rng, 1000)
    trained = [fitted(*recorded(rng, 6)) for _ in range(100)]
    errors = [np.mean((states - predicted(probe, population)) ** 2) for probe in trained]
    truth = 1 - np.mean(errors) / states.var()
    covered = {0.2: 0, 0.0: 0}
    for number in range(300):
        features, states = recorded(rng, EPISODES)
        scores = [score(features, states, one.split) for one in splits_of(number)]
        for share in covered:
            _, low, high = resampled_interval(scores, share)
            covered[share] += bool(low <= truth <= high)
    assert 0.91 <= covered[0.2] / 300 <= 0.98
    assert covered[0.0] / 300 < 0.9  # a plain t interval, as if splits shared no episode


def recorded(rng: np.random.Generator, count: int):
    """Features (count, STEPS, FEATURES) and states (count, STEPS) of some episodes."""
    latent = rng.standard_normal((count, STEPS, FEATURES))
    for step in range(1, STEPS):
        latent[:, step] = 0.9 * latent[:, step - 1] + np.sqrt(0.19) * latent[:, step]
    disturbed = 0.3 * rng.standard_normal((count, 1, FEATURES))
    return latent + disturbed + 0.5 * rng.standard_normal(latent.shape), latent @ WEIGHTS


def fitted(features, states):
    """Ordinary least squares with an intercept."""
    columns = np.c_[np.ones(states.size), features.reshape(-1, FEATURES)]
    return np.linalg.lstsq(columns, states.ravel(), rcond=None)[0]


def predicted(probe, features):
    return probe[0] + features @ probe[1:]


def score(features, states, split):
    train, test = split == 0, split == 2
    errors = states[test] - predicted(fitted(features[train], states[train]), features[test])
    return 1 - np.mean(errors**2) / states[test].var()


def splits_of(seed: int):
    samples = SampleSet(
        images=np.zeros((1, 3, 1, 1), np.uint8),
        index=np.zeros((EPISODES, 3), np.int64),
        states=np.zeros((EPISODES, 1)),
        episodes=np.arange(EPISODES),
        split=split_episodes(np.zeros(EPISODES, np.int64), seed),
        origin=np.zeros(EPISODES, np.int64),
        components=("height",),
        aliases={},
        sources=(Source("a.h5", "walker_walk", 1, 1000, "a", 900.0, EPISODES, "float32", "full"),),
        seed=seed,
    )
    return repeated_splits(samples, SPLITS)
