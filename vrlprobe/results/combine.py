"""Results of several calls as one: their runs side by side, where all else is alike."""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from vrlprobe.errors import FormatError
from vrlprobe.results.file import blank_value, check_kind, check_named

COMBINED = ("probe", "metrics")
"""Kinds of result that are put together run after run; others are made of all runs at once."""
CHANGES_NOTHING = {"frames", "device"}
"""Arguments in which results that are compared may differ."""


def combine_results(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Results of one kind as one, run after run; frames that only some have are blank in others.

    Variables that not all have, as those of an older vrlprobe, are left out with a warning.

    Different runs of one name are numbered from the second on: `seed5`, `seed5#2`.

    Args:
        results: by the name of their file, at least one.

    Raises:
        FormatError: none, no results, several kinds, a run that is in two of them, or they differ
            in samples, layers, components or in an option that changes their numbers.
    """
    check_named(results)
    for found in results.values():
        check_kind(found, *COMBINED)
    kinds = {str(found.attrs.get("vrlprobe")): name for name, found in results.items()}
    if len(kinds) > 1:
        raise FormatError(
            "results of one kind are put together, found "
            + " and ".join(f"{kind} ({name})" for kind, name in kinds.items())
        )
    (first_name, first), *others = results.items()
    origin = dict.fromkeys(first["run"].values.tolist(), first_name)
    parts, known = [first], _trainings(first)
    for name, result in others:
        given = _trainings(result)
        for twin, one in known.items():
            if any(one.may_be(other) for other in given.values()):
                raise FormatError(f"the run {twin} is in {origin[twin]} and in {name}: give one")
        result = _relabelled(result, origin)
        parts.append(result)
        labels = result["run"].values.tolist()
        known |= dict(zip(labels, given.values(), strict=True))
        origin |= dict.fromkeys(labels, name)
        _check_made_alike(first_name, first, name, result)
    if not others:
        return first
    shared = _shared_variables(dict(zip(results, parts, strict=True)))
    alike = [part[[name for name in first if name in shared]] for part in parts]
    fill = {str(name): blank_value(first[name]) for name in alike[0]}
    whole = xr.concat(
        alike, "run", data_vars="minimal", coords="minimal", compat="override", join="outer",
        fill_value=fill, combine_attrs="override",
    )  # fmt: skip
    configs: dict[str, Any] = {}
    for part in parts:
        configs |= json.loads(part.attrs.get("configs", "{}"))
    return whole.sortby("frame").assign_attrs(configs=json.dumps(configs))


def _shared_variables(results: Mapping[str, xr.Dataset]) -> set[str]:
    """The variables that all results have; warns of those that only some have."""
    there = {name: {str(variable) for variable in found} for name, found in results.items()}
    shared, every = set.intersection(*there.values()), set.union(*there.values())
    if left_out := sorted(every - shared):
        short = [name for name, variables in there.items() if variables != every]
        warnings.warn(
            f"left out: {', '.join(left_out)}, which {', '.join(short)} lack"
            f"{'s' if len(short) == 1 else ''}: make all with one vrlprobe",
            UserWarning,
            stacklevel=3,
        )
    return shared


@dataclass(frozen=True)
class _Training:
    """What a result tells a run by: its label and config, and digests of checkpoints by frame."""

    label: str
    config: Any
    digests: Mapping[int, str]

    def may_be(self, other: "_Training") -> bool:
        """Whether both are one run; where no frame of theirs tells, label and config decide."""
        mine, its = self.digests, other.digests
        if mine.get(max(mine, default=-1)) in its.values():
            return True
        if its.get(max(its, default=-1)) in mine.values():
            return True
        alike = (self.label, self.config) == (other.label, other.config)
        return alike and all(mine[frame] == its[frame] for frame in mine.keys() & its.keys())


def _trainings(result: xr.Dataset) -> dict[str, _Training]:
    """A result's runs by their labels, in its order."""
    configs = json.loads(result.attrs.get("configs", "{}"))
    frames = result["frame"].values.tolist()
    found = {}
    for run in result["run"].values.tolist():
        digests = zip(frames, result["checkpoint"].sel(run=run).values.tolist(), strict=True)
        there = {frame: digest for frame, digest in digests if digest}
        found[run] = _Training(run, configs.get(run), there)
    return found


def _relabelled(result: xr.Dataset, taken: Iterable[str]) -> xr.Dataset:
    """The result with runs that are called as others are numbered: `seed5#2`."""
    labels, names = set(taken), {}
    for run in result["run"].values.tolist():
        tried = (run, *(f"{run}#{number}" for number in range(2, len(labels) + 3)))
        names[run] = next(label for label in tried if label not in labels)
        labels.add(names[run])
    configs = json.loads(result.attrs.get("configs", "{}"))
    renamed = {names.get(run, run): config for run, config in configs.items()}
    return result.assign_coords(run=list(names.values())).assign_attrs(configs=json.dumps(renamed))


def _check_made_alike(first_name: str, first: xr.Dataset, name: str, other: xr.Dataset) -> None:
    """Raise FormatError where two results differ in what they are of, an option or samples."""
    for dim in ("layer", "component", "control", "probe", "split"):
        mine, its = (
            list(part[dim].values) if dim in part.dims else None for part in (first, other)
        )
        if mine != its:
            raise FormatError(f"{first_name} and {name} have different {dim}s: make them alike")
    options, others = (
        {**json.loads(part.attrs.get("arguments", "{}")), "n_samples": part.attrs.get("n_samples")}
        for part in (first, other)
    )
    for option in sorted((options | others).keys() - CHANGES_NOTHING):
        if options.get(option) != others.get(option):
            raise FormatError(
                f"{first_name} was made with {option} {options.get(option)}, {name} with "
                f"{others.get(option)}: make them alike"
            )
    if other.attrs.get("samples") != first.attrs.get("samples"):
        raise FormatError(
            f"{first_name} and {name} were made on different samples, so they cannot be "
            "compared: make them again on one sample set"
        )
