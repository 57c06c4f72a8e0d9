"""What the analysis commands share: opening runs and samples, lists, warnings, progress."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import xarray as xr
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from vrlprobe._group import as_options
from vrlprobe._text import escaped
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.results.file import save_result
from vrlprobe.runs.collection import open_logged
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.output import refuse_to_replace
from vrlprobe.runs.paths import check_folder
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.samples.file import is_sample_file, load_samples
from vrlprobe.samples.sample_set import SampleSet

FILE = click.Path(path_type=Path)
FORCE = "vrlprobe.force"
samples_option = click.option(
    "--samples",
    "sample_paths",
    multiple=True,
    type=FILE,
    metavar="SET|RUN",
    help="A sample set, or a well-performing run; repeat it for several runs.",
)


window_option = click.option(
    "--window",
    type=click.IntRange(min=1),
    help="Frames over which the noise decays, after which a collapsed run counts as stuck.  "
    "[default: as recorded in the run]",
)


threshold_option = click.option(
    "--threshold",
    type=float,
    metavar="R",
    help="Return to count the frames to.  [default: the one from which a run is good]",
)


def class_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """From which returns a run is good or bad."""
    for name, text in (
        ("--bad", "at or below which a run counts as bad"),
        ("--good", "from which a run counts as good"),
    ):
        decorate = click.option(name, type=float, help=f"Return {text}.  [default: the profile's]")
        command = decorate(command)
    return command


class Session(ExitStack):
    """A command at work: what it opens is closed at the end, its warnings go to stderr.

    One thread: results are then the same on any number of cores, and a process a core is faster
    than one process on all of them.
    """

    def __enter__(self) -> "Session":
        """Begin; use in a `with`."""
        super().__enter__()
        self.enter_context(warnings_on_stderr())
        self.enter_context(threadpool_limits(limits=1))
        if torch := sys.modules.get("torch"):
            self.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        else:
            self.enter_context(_one_thread_to_come())
        return self

    def runs(self, paths: Sequence[Path]) -> list[Run]:
        """Open runs until the command ends."""
        return [self.enter_context(open_run(path)) for path in paths]

    def logged(self, paths: Sequence[Path]) -> list[LoggedRun]:
        """Open runs, or read the records of finished ones, until the command ends."""
        found = [open_logged(path) for path in paths]
        for run in found:
            if isinstance(run, Run):
                self.enter_context(run)
        return found

    def samples(self, paths: Sequence[Path]) -> SampleSet | list[Run] | None:
        """What `--samples` names: one set, several runs, or nothing."""
        if not paths:
            return None
        sets = [path for path in paths if is_sample_file(path)]
        if not sets:
            return self.runs(paths)
        if len(paths) > 1:
            raise SampleError(f"--samples takes one sample set or several runs: {sets[0]} is a set")
        return load_samples(sets[0])


@contextmanager
def _one_thread_to_come() -> Iterator[None]:
    """Have torch begin with one thread where a command imports it in the block."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show the package's warnings as lines of a command."""
    context = click.get_current_context(silent=True)
    command = context.command if context else None

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        click.echo(f"warning: {escaped(as_options(str(message), command))}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def split_list(text: str | None) -> list[str] | None:
    """The parts of a comma-separated option; None where it was not given."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise click.BadParameter(f"a comma-separated list needs a name, found {text!r}")
    return parts


def refuse_idle(options: Sequence[str], why: str) -> None:
    """Raise UsageError for options on the command line that have no effect here."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in options and source == click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {why}")


def parse_frames(text: str) -> str | list[int]:
    """`last`, `all`, `best` as they are, numbers as a list (`1e4` and `10_000` will do)."""
    parts = split_list(text) or [""]
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return text
    if not all(value.is_integer() for value in values):
        raise click.BadParameter(f"frames are whole numbers: {text}")
    return [int(value) for value in values]


def one_frame(text: str) -> str | int:
    """`last`, `best` or the number of one frame."""
    parsed = parse_frames(text)
    if isinstance(parsed, str) and parsed != "all":
        return parsed
    if isinstance(parsed, str) or len(parsed) != 1:
        raise click.BadParameter(
            f"one frame is needed: last, best or a number, found {text}", param_hint="--frame"
        )
    return parsed[0]


def result_path(given: Path | None, runs: Sequence[Path], kind: str) -> Path:
    """Where a result goes: as given, or beside the one run there is, `seed3.probe.nc`."""
    if given is not None:
        return given
    if len(runs) > 1:
        raise click.UsageError("several runs give one result: name its file with -o")
    return runs[0].with_name(f"{runs[0].stem}.{kind}.nc")


def forced() -> bool:
    """Whether the command line has --force, which every command has that writes results."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(FORCE))


def write_result(dataset: xr.Dataset, path: Path) -> None:
    """Save a result; with --force in place of whatever is there."""
    save_result(dataset, path, force=forced())


def check_writable(path: Path, kind: str) -> None:
    """Raise FormatError where a file cannot be written, before the work is done.

    Args:
        path: of the file.
        kind: what it will be, in words: it replaces an earlier one (`refuse_to_replace`).

    Raises:
        UsageError: the command line names the file twice, as an input or another output, too.
    """
    check_folder(path)
    _refuse_named_twice(path)
    refuse_to_replace(path, kind, forced())
    if not os.access(path.parent, os.W_OK):
        raise FormatError(f"cannot write {path}: no permission in {path.parent} (-o takes another)")


def _refuse_named_twice(path: Path) -> None:
    context = click.get_current_context(silent=True)
    named = [
        os.path.realpath(item)
        for value in (context.params.values() if context else ())
        for item in (value if isinstance(value, tuple) else [value])
        if isinstance(item, Path)
    ]
    if named.count(os.path.realpath(path)) > 1:
        raise click.UsageError(f"{path} is named twice: an output needs a name of its own")


def progress(jobs: Sequence[Any], what: str = "probing") -> Iterable[Any]:
    """The jobs with a bar on stderr, where that is a terminal."""
    console = Console(stderr=True)
    return track(jobs, what, console=console, disable=not sys.stderr.isatty(), transient=True)


@contextmanager
def told_how_to_go_on(*, kept: bool) -> Iterator[None]:
    """End with 130 on an interrupt, and say that nothing is lost where what was made is kept."""
    try:
        yield
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where it stopped" if kept else ""
        click.echo(f"stopped{goes_on}", err=True)
        sys.exit(130)
