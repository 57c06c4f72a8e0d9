"""Where do the probes of two groups of runs differ: in the encoder or in the MLP?"""

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import as_list, check_at_least
from vrlprobe.analyses.shared.average import final_returns, run_classes
from vrlprobe.envs.tasks import reward_components
from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.results.dataset import BOUNDS
from vrlprobe.results.file import at_frame, check_kind, last_checkpoint, provenance
from vrlprobe.results.schemas.contrast import CONTRAST, MEASURES
from vrlprobe.samples.selection import Names, choose
from vrlprobe.stats.bootstrap import mean_interval
from vrlprobe.stats.classes import CLASSES
from vrlprobe.stats.contrast import LEVEL, Tested, contrasts, correlations, gaps, runs_needed

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
By = Literal["class", "verdict"]
"""What groups the runs: their return, or action collapse."""
Score = Literal["log_mse", "r2"]
GROUPS = {"class": CLASSES, "verdict": ("healthy", "escaped", "stuck", "undecided")}
SIDES = {"class": (("good",), ("bad",)), "verdict": (("healthy", "escaped"), ("stuck",))}
"""The groups that are compared: the base, and the other."""
FEWEST = 2
"""Runs that each side needs to be compared."""
MEAN = "mean"
"""The component that stands for the mean over all, or all that are asked for."""


@CONTRAST.documented
def contrast(
    result: xr.Dataset,
    *,
    by: By = "class",
    cohort: xr.Dataset | None = None,
    frame: int | None = None,
    components: Names = None,
    reference: str | None = None,
    score: Score = "log_mse",
    plan: float | None = None,
    good: float | None = None,
    bad: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether bad runs' probes are worse in the MLP than in the encoder (paper, section 4.1).

    A run is one observation. Its score at a layer is the log test error of a component, or the mean
    of that over components, which is called `mean`.

    Args:
        result: what `vrlprobe.probe` returns.
        by: `class`, good against bad runs by the return at the end; or `verdict`, runs that are
            stuck against those that are not (healthy, escaped), at the frame that is compared.
            Middle and undecided runs count in the correlation only.
        cohort: result of `vrlprobe.analyses.cohort` with the same runs, for `by="verdict"`.
        frame: of the checkpoints, which every run must have; each run's last if None.
        components: averaged to `mean`, and tested one by one. If None, all are averaged, and those
            that the task's reward reads are tested one by one. Constant components
            have no error and are left out.
        reference: layer that the others are contrasted with; the last convolution if None.
        score: `log_mse`, differences are log ratios of errors; `r2`, differences of R². A
            difference in differences may be seen on one scale and not on the other.
        plan: size of a contrast; counts the runs that a group needs to show it.
        good, bad: returns from which a run is good and up to which it is bad; each run's own
            profile's if None.
        seed: of the bootstrap, and of the permutations where not all are taken.

    Returns:
        The variables below. p is of permutation tests, exact up to
        `vrlprobe.stats.comparison.EXACT_WAYS` permutations. A layer whose score is the same in all
        runs (raw images) is not tested: NaN, as is the contrast of the reference. `runs_needed` is
        -1 where nothing is tested; the closed form is `vrlprobe.stats.contrast.runs_needed`.
        Attributes: `base` and `other`, the groups compared, `reference`, `left_out`.

        {variables}

    Raises:
        FormatError: something else than a result of probe, or of cohort.
        SampleError: fewer than two runs on a side, a run without return or verdict, or a component
            without an error.
        UnknownLayerError: no such layer, or no convolution to be the reference.
        ValueError: an argument that cannot be.
    """
    _check(by, score, seed, plan)
    check_kind(result, "probe")
    groups = _classes(result, good, bad) if by == "class" else _verdicts(result, cohort, frame)
    part = _checkpoints(result, frame)
    names, chosen, left_out = _components(part, components)
    layers = part["layer"].values.tolist()
    reference = _reference(layers, reference)
    base, other = (np.isin(groups, side) for side in SIDES[by])
    _check_sides(groups, base, other, by)
    there = [group for group in GROUPS[by] if group in groups]
    coords = {
        "measure": list(MEASURES), "component": [MEAN, *chosen], "layer": layers, "bound": BOUNDS,
        "group": there, "run": part["run"].values.tolist(),
    }  # fmt: skip
    found = CONTRAST.blank(coords, *([] if plan is None else ["plan"]))
    found["of_group"][:] = np.array(groups, object)
    found["final_return"][:] = list(final_returns(result).values())
    found["score"][:] = _scores(part, score, names, chosen)
    _describe_groups(found, seed)
    for name in found["component"].values.tolist():
        _test(found.sel(component=name), base, other, layers.index(reference), seed)
        if plan is not None:
            _plan(found.sel(component=name), base, other, layers.index(reference), plan)
    arguments = {"by": by, "frame": frame, "score": score, "plan": plan, "seed": seed}
    kept = {key: result.attrs[key] for key in ("task", "samples", "configs") if key in result.attrs}
    sides = {key: " or ".join(side) for key, side in zip(("base", "other"), SIDES[by], strict=True)}
    words = {"reference": reference, "left_out": json.dumps(left_out), "n_components": len(names)}
    return found.assign_attrs({**provenance("contrast", arguments), **kept, **sides, **words})


def _check(by: str, score: str, seed: int, plan: float | None) -> None:
    check_at_least(0, seed=seed)
    for value, known, what in ((by, get_args(By), "by"), (score, get_args(Score), "score")):
        if value not in known:
            raise ValueError(f"{what} is {' or '.join(known)}, not {value!r}")
    if plan is not None and not (np.isfinite(plan) and plan):
        raise ValueError(f"plan must be a finite size other than 0, not {plan:g}")


def _classes(result: xr.Dataset, good: float | None, bad: float | None) -> list[str]:
    return list(run_classes(result, good, bad).values())


def _verdicts(result: xr.Dataset, cohort: xr.Dataset | None, frame: int | None) -> list[str]:
    """Each run's state at the frame, or at its last one: stuck where it is in collapse."""
    if cohort is None:
        raise SampleError(
            "a result of probe has no verdicts: give a result of cohort with the same runs "
            "(`cohort`)"
        )
    check_kind(cohort, "cohort")
    labels = result["run"].values.tolist()
    places = [_place(result.sel(run=[run]), run, cohort) for run in labels]
    if missing := [run for run, place in zip(labels, places, strict=True) if place is None]:
        raise SampleError(
            f"the cohort lacks {len(missing)} of the {len(labels)} probed runs: "
            f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"
        )
    rows = cohort.isel(run=places)
    out, begin = rows["out"].values, rows["read_from"].values
    if frame is None:
        ends = [int(last_checkpoint(result, run)["frame"].item()) for run in labels]
    else:
        ends = [frame] * len(labels)
    return [_state(*row) for row in zip(out, begin, ends, strict=True)]


def _state(out: float, begin: int, frame: int) -> str:
    """Of a run that is out of collapse from `out` on, and first read at `begin`."""
    if np.isnan(out) or begin < 0 or frame < begin:
        return "undecided"
    if out > frame:
        return "stuck"
    return "healthy" if out <= begin else "escaped"


def _place(part: xr.Dataset, run: str, cohort: xr.Dataset) -> int | None:
    """Where a cohort has a probed run: by the digest of its last checkpoint, or by its name."""
    digests = cohort["last_checkpoint"].values.tolist()
    there = [digest for digest in part["checkpoint"].values.ravel().tolist() if digest]
    known = [place for place, digest in enumerate(digests) if digest and digest in there]
    if known:
        return known[0]
    names: list[str] = cohort["run"].values.tolist()
    return names.index(run) if run in names else None


def _checkpoints(result: xr.Dataset, frame: int | None) -> xr.Dataset:
    """Errors (run, component, layer) at the frame, or at each run's last one."""
    if frame is not None:
        return at_frame(result, frame).isel(frame=0)[["test_mse", "test_r2"]]
    runs = result["run"].values.tolist()
    last = [last_checkpoint(result, run)[["test_mse", "test_r2"]] for run in runs]
    return xr.concat([one.drop_vars("frame") for one in last], "run")


def _components(part: xr.Dataset, wanted: Names) -> tuple[list[str], list[str], list[str]]:
    """The components to average, those to test by themselves, and those left out."""
    known = part["component"].values.tolist()
    errors, r2 = part["test_mse"], part["test_r2"]
    fit = ((errors > 0) & r2.notnull()).all(["run", "layer"])
    there = [name for name in known if bool(fit.sel(component=name))]
    if not there:
        raise SampleError("no component has an error above 0 in all runs and layers")
    if wanted is not None:
        names = choose(wanted, known, "component")
        if without := [name for name in names if name not in there]:
            raise SampleError(
                f"{without[0]} is constant, or its error is 0 in a run: it has no log error to "
                "compare, leave it out"
            )
        return names, names, []
    left_out = [name for name in known if name not in there]
    if left_out:
        warnings.warn(
            f"left out: {', '.join(left_out)}, constant or with an error of 0 in a run",
            UserWarning,
            stacklevel=3,
        )
    return (
        there,
        [n for n in reward_components(str(part.attrs.get("task"))) if n in there],
        left_out,
    )


def _reference(layers: Sequence[str], wanted: str | None) -> str:
    if wanted is not None:
        return choose(as_list(wanted), layers, "layer")[0]
    convolutions = [name for name in layers if name.startswith("cnn") and name != "cnn0"]
    if not convolutions:
        raise UnknownLayerError(
            f"no convolution (cnn1, …) among the layers {', '.join(layers)}: choose the layer that "
            "the others are contrasted with (`reference`)"
        )
    return convolutions[-1]


def _check_sides(groups: Sequence[str], base: Bools, other: Bools, by: By) -> None:
    """Raise SampleError where a side has too few runs to vary."""
    if min(base.sum(), other.sum()) >= FEWEST:
        return
    counts = ", ".join(f"{groups.count(group)} {group}" for group in GROUPS[by] if group in groups)
    raise SampleError(
        f"a contrast needs at least {FEWEST} runs that are {' or '.join(SIDES[by][0])} and "
        f"{FEWEST} that are {SIDES[by][1][0]}, found: {counts}"
    )


def _scores(part: xr.Dataset, score: Score, names: list[str], chosen: list[str]) -> Floats:
    """(run, component, layer): the mean over `names`, then each of `chosen`."""
    errors = part["test_r2"] if score == "r2" else part["test_mse"]
    values = errors.sel(component=names).transpose("run", "component", "layer").values
    values = values if score == "r2" else np.log(values)
    rows = [names.index(name) for name in chosen]
    return np.concatenate([values.mean(axis=1, keepdims=True), values[:, rows]], axis=1)


def _describe_groups(found: xr.Dataset, seed: int) -> None:
    """Fill in the mean scores of each group."""
    for group in found["group"].values.tolist():
        members = found["score"].values[found["of_group"].values == group]
        found["n_runs"].loc[group] = len(members)
        found["group_score"].loc[group] = np.stack(mean_interval(members, seed=seed), axis=-1)


def _test(part: xr.Dataset, base: Bools, other: Bools, reference: int, seed: int) -> None:
    """Fill in the tests of one component."""
    scores = part["score"].values
    sides = scores[base], scores[other]
    tested: Mapping[str, Tested] = {
        "gap": gaps(*sides, seed=seed),
        "contrast": contrasts(*sides, reference, seed=seed),
        "correlation": correlations(scores, part["final_return"].values, seed=seed),
    }
    for measure, one in tested.items():
        part["value"].loc[measure] = one.value
        part["p"].loc[measure] = one.p
        part["p_holm"].loc[measure] = one.p_holm


def _plan(part: xr.Dataset, base: Bools, other: Bools, reference: int, plan: float) -> None:
    """Fill in the runs that a contrast of one component needs at each layer."""
    apart = part["score"].values - part["score"].values[:, [reference]]
    tested = np.flatnonzero(np.isfinite(part["p"].sel(measure="contrast").values))
    for layer in tested:
        sides = apart[base, layer], apart[other, layer]
        part["runs_needed"][layer] = runs_needed(*sides, plan)
        part["runs_needed_holm"][layer] = runs_needed(*sides, plan, LEVEL / len(tested))
