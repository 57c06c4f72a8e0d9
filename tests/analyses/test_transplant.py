"""Transplants: bit for bit the donors' parameters, and refusals that name both sides."""

from contextlib import ExitStack
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.analyses.logs import ESCAPES, FRAMES, WINDOW, N, log_of
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.analyses import grid, transplant
from vrlprobe.analyses.shared.donors import Pool, Wish
from vrlprobe.errors import FormatError, SampleError, TransplantError, UnknownFrameError
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.verify import verify_run

LEARNED = Path(__file__).parents[2] / "fixtures/walker_walk-learned.h5"
GOOD, BAD = ("a.h5", 1, 1.0), ("b.h5", 2, 0.1)
"""Synthetic runs: their file, seed, and reward a step; 20 a return is good, 5 is bad."""
CNN = [f"encoder/convnet.{n}.{kind}" for n in (0, 2, 4, 6) for kind in ("weight", "bias")]
BEGINS = {
    "cnn": "encoder/",
    "mlp0": "actor/trunk.",
    "mlp1": "actor/policy.0.",
    "mlp2": "actor/policy.2.",
    "head": "actor/policy.4.",
    "critic": "critic",
}


@pytest.fixture
def folder(make_run, tmp_path):
    for name, seed, reward in (GOOD, BAD, ("c.h5", 3, 0.3)):
        make_run(name, seed=seed, reward=reward)
    return tmp_path


def parameters(path, frame=2000):
    with open_run(path) as run:
        return run.parameters(frame)


def blank_of(path, seed=0):
    with open_run(path) as run:
        return {n: t.numpy() for n, t in run.blank_agent(seed).named_tensors().items()}


def same(made, wanted, begins):
    names = [name for name in made.parameters if name.startswith(begins)]
    assert names
    for name in names:
        np.testing.assert_array_equal(made.parameters[name], wanted[name])


def test_a_donor_is_a_path_of_either_kind_or_an_open_run(folder):
    made = transplant(folder / "a.h5", folder / "b.h5")
    assert made.digest == transplant(str(folder / "a.h5"), str(folder / "b.h5")).digest
    with open_runs(folder / "a.h5", folder / "b.h5") as runs:
        assert transplant(*runs).digest == made.digest
        assert transplant("good", "bad", runs=runs).digest == made.digest
        assert runs[0].frames[-1] == 2000  # still open
        runs[0].parameters(2000)
    shown = repr(made)
    assert shown.startswith("<Transplant a@2000-b@2000: {'cnn1': 'a@2000'")
    assert len(shown) < 500


@pytest.mark.parametrize("whole", ["cnn", "mlp", "critic"])
def test_a_whole_part_is_not_named_among_the_pieces(folder, whole):
    layers = {whole: folder / "c.h5", "mlp1": folder / "c.h5"}
    with pytest.raises(TransplantError, match=f"{whole} is no single piece: name its donor by its"):
        transplant(folder / "a.h5", folder / "b.h5", layers=layers)


def test_every_tensor_is_in_one_piece():
    agent = DrQV2Agent(image_size=20, channels=2, feature_dim=3, hidden_dim=4, action_dim=1)
    begins = [b for own in DrQV2Agent.pieces.values() for each in own.values() for b in each]
    for name in agent.named_tensors():
        assert sum(name.startswith(begin) for begin in begins) == 1, name


def test_the_nine_cells_are_their_donors_bit_for_bit(folder):
    whole = {
        "blank": blank_of(folder / "a.h5"),
        "good": parameters(folder / "a.h5"),
        "bad": parameters(folder / "b.h5"),
    }
    cells = list(grid({name: name for name in whole}, runs=folder, pair="same"))
    assert [cell.label for cell in cells] == [f"{c}-{m}" for c, m in product(whole, whole)]
    for cell in cells:
        cnn, mlp = cell.label.split("-")
        same(cell, whole[cnn], "encoder/")
        same(cell, whole[mlp], "actor/")
        same(cell, whole[mlp], ("critic/", "critic_target/"))
        assert set(cell.parameters) == set(whole["good"])


def test_a_grids_cnns_and_mlps_of_a_class_are_of_two_agents(folder, make_run):
    make_run("d.h5", seed=4)
    make_run("e.h5", seed=5, reward=0.1)
    cells = {cell.label: cell for cell in grid({"good": "good", "bad": "bad"}, runs=folder)}
    cnns, mlps = (
        {name: {cell.origins[piece]["run"] for cell in group} for name, group in named.items()}
        for piece, named in (
            ("cnn1", {n: [cells[f"{n}-{m}"] for m in ("good", "bad")] for n in ("good", "bad")}),
            ("mlp0", {m: [cells[f"{n}-{m}"] for n in ("good", "bad")] for m in ("good", "bad")}),
        )
    )
    for name, both in (("good", {"a.h5", "d.h5"}), ("bad", {"b.h5", "e.h5"})):
        assert len(cnns[name]) == len(mlps[name]) == 1
        assert cnns[name] | mlps[name] == both
    for cell in cells.values():
        same(cell, parameters(folder / cell.origins["cnn1"]["run"]), "encoder/")
        same(cell, parameters(folder / cell.origins["mlp0"]["run"]), ("actor/", "critic"))


@pytest.mark.parametrize(("critic", "source"), [("mlp", "b"), ("cnn", "a"), ("c.h5", "c")])
def test_where_the_critic_comes_from(folder, monkeypatch, critic, source):
    monkeypatch.chdir(folder)
    made = transplant("good", "bad", critic=critic, runs=".")
    same(made, parameters(f"{source}.h5"), ("critic/", "critic_target/"))
    same(made, parameters("b.h5"), "actor/")


def test_finer_cuts(folder):
    donors = {"mlp0": "bad", "head": f"{folder}/c.h5@1000", "cnn2": "blank"}
    made = transplant("good", "good", layers=donors, critic="blank", runs=folder, pair="same")
    assert made.label == "good-good-mlp0_bad-head_c@1000-cnn2_blank-critic_blank"
    good, blank = parameters(folder / "a.h5"), blank_of(folder / "a.h5")
    same(made, parameters(folder / "b.h5"), BEGINS["mlp0"])
    same(made, parameters(folder / "c.h5", 1000), BEGINS["head"])
    same(made, blank, ("encoder/convnet.2.", "critic"))
    same(made, good, (BEGINS["mlp1"], BEGINS["mlp2"], "encoder/convnet.0.", "encoder/convnet.6."))


def test_a_whole_agent_acts_as_its_donor():
    made = transplant(str(LEARNED), "self", runs=LEARNED.parent)
    with open_run(LEARNED) as run:
        episode = run.rollout(int(run.frames[-1]))[0]
        seen = episode.observations(indices=range(len(episode)))
        np.testing.assert_array_equal(made.agent().act(seen), run.agent(100_000).act(seen))
        np.testing.assert_allclose(made.agent().act(seen), episode.actions, atol=2e-2)


def test_the_file_is_a_run(folder):
    path = folder / "init.h5"
    made = transplant("good", "bad", runs=folder, seed=4)
    made.save(path)
    assert verify_run(path).problems == ()
    with open_run(path) as run:
        assert run.state == "sealed"
        assert run.frames.tolist() == [0]
        assert run.digest(0) == made.digest
        assert (run.config["init"], run.config["seed"]) == ("good-bad", 4)
        origins = run.provenance["transplant"]["pieces"]
        assert origins["cnn1"]["run"] == "a.h5"
        assert origins["head"]["checkpoint"] == origins["critic"]["checkpoint"]
        assert np.isnan(run.returns).all()
    with pytest.raises(FormatError, match=r"init.h5 exists"):
        made.save(path)


def test_a_seed_draws_the_same_donors_and_blanks(folder, make_run):
    for seed in (5, 6, 7):
        make_run(f"g{seed}.h5", seed=seed)
    drawn = {
        transplant("good", "blank", runs=folder, seed=s).origins["cnn1"]["run"] for s in range(9)
    }
    assert len(drawn) > 1
    one, two = (transplant("good", "blank", runs=folder, seed=3) for _ in range(2))
    assert one.digest == two.digest
    assert one.digest != transplant("good", "blank", runs=folder, seed=4).digest


def test_a_seed_of_numpy_is_stored_as_any_other(folder):
    made = transplant("good", "blank", runs=folder, seed=np.int64(1))
    made.save(folder / "one.h5")
    with open_run(folder / "one.h5") as run:
        assert run.config["seed"] == 1
        assert run.digest(0) == transplant("good", "blank", runs=folder, seed=1).digest


def test_a_pair_is_one_agent_or_two(folder, make_run):
    make_run("d.h5", seed=4)
    one = transplant("good", "good", runs=folder, pair="same")
    assert len({origin["run"] for origin in one.origins.values()}) == 1
    two = transplant("good", "good", runs=folder)
    assert two.origins["cnn1"]["run"] != two.origins["mlp0"]["run"]
    with pytest.raises(TransplantError, match=r'two bad runs .* is b.h5 alone: .*`pair="same"`'):
        transplant("bad", "bad", runs=folder)
    assert transplant("good", "bad", runs=folder).label == "good-bad"


def test_a_pair_is_one_of_two_words(folder):
    with pytest.raises(ValueError, match="pair is one of same, different, not 'diff'"):
        transplant("good", "good", runs=folder, pair="diff")


def test_an_empty_class_lists_the_runs(folder):
    with pytest.raises(TransplantError) as error:
        transplant("good", "middle", runs=folder, good=0.5, bad=0.1)
    assert str(error.value) == (
        f"no middle run among the finished ones in {folder} (`runs`): "
        "a 40 (good), b 4 (good), c 12 (good); middle is a return between 0.1 and 0.5"
    )
    empty = folder / "none"
    empty.mkdir()
    with pytest.raises(TransplantError, match=r"in .*none \(`runs`\): there is none; a return of"):
        transplant("good", "bad", runs=empty)
    with pytest.raises(TransplantError, match=r"a return of at least 300 is good \(`good`\)"):
        transplant("good", "bad", runs=empty, good=300)


def test_checkpoints_of_a_donor(make_run, tmp_path):
    make_run("e.h5", frames=FRAMES, log=log_of(ESCAPES), config=WINDOW, episodes=0)
    assert [f for f in FRAMES if f <= 4000][-1] == 4000
    path = str(tmp_path / "e.h5")
    found = {
        at: transplant(f"{path}@{at}", "self").origins["head"]
        for at in ("last", "collapsed", "3000", "3e3")
    }
    assert found["last"]["frame"] == FRAMES[N - 1]
    assert found["collapsed"]["frame"] == 4000
    assert found["collapsed"]["why"] == "as named; the last in collapse (1,000 to 4,000)"
    assert found["3000"]["frame"] == found["3e3"]["frame"] == 3000
    with pytest.raises(UnknownFrameError, match="nearest are 2000, 3000, 4000, 5000"):
        transplant(f"{path}@3500", "self")


def test_a_healthy_run_has_no_collapsed_checkpoint(make_run, tmp_path):
    make_run("h.h5", frames=FRAMES, log=log_of([0.5] * N), config=WINDOW, episodes=0)
    with pytest.raises(TransplantError, match=r"h.h5 was never in collapse: it is healthy"):
        transplant(f"{tmp_path}/h.h5@collapsed", "self")


def test_a_collapsed_checkpoint_needs_no_window(make_run, tmp_path):
    """An import's config does not say how long the noise decays."""
    make_run("i.h5", frames=FRAMES, log=log_of(ESCAPES), episodes=0)
    donor = transplant(f"{tmp_path}/i.h5@collapsed", "self").origins["head"]
    assert donor["frame"] == 4000


def test_too_few_measurements_show_no_collapse(make_run, tmp_path):
    for frames, error, message in (
        (FRAMES[:2], TransplantError, r"n.h5 does not show .*: checkpoints with .* are 1, too few"),
        ((), SampleError, "n.h5 has no checkpoint yet"),
    ):
        log = {name: column[: len(frames)] for name, column in log_of(ESCAPES).items()}
        make_run("n.h5", frames=frames, log=log, episodes=0)
        with pytest.raises(error, match=message):
            transplant(f"{tmp_path}/n.h5@collapsed", "self")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("godo", r"no donor 'godo': did you mean good\?"),
        ("nothing.h5@3", "nothing.h5: no such file"),
        ("nothing", "no donor 'nothing': needed good"),
        ("good@bst", r"not 'bst' \(did you mean best\?\)"),
        ("good@1.5", "not '1.5'"),
        ("blank@3", "blank has no checkpoints"),
    ],
)
def test_what_is_no_donor(text, message):
    with pytest.raises((TransplantError, UnknownFrameError), match=message):
        Wish.parse(text)


def test_donors_that_do_not_fit(folder, make_run):
    make_run("wide.h5", seed=8, config={"hidden_dim": 17})
    make_run("hop.h5", seed=9, config={"task": "hopper_stand"})
    for other, message in (
        ("wide", r"a.h5 does not fit wide.h5: actor/policy.0.bias is \(16,\), there \(17,\)"),
        ("hop", "a.h5 does not fit hop.h5: task is walker_walk, there hopper_stand"),
    ):
        with pytest.raises(TransplantError, match=message):
            transplant(f"{folder}/a.h5", f"{folder}/{other}.h5")


def test_donors_of_one_task_among_several(folder, make_run):
    make_run("hop.h5", seed=9, config={"task": "hopper_stand"})
    with pytest.raises(TransplantError, match=r"of hopper_stand and walker_walk: choose one task"):
        transplant("good", "bad", runs=folder)
    assert transplant("good", "bad", runs=folder, task="walker_walk").label == "good-bad"
    with pytest.raises(TransplantError, match="no run of walker_run: there are hopper_stand"):
        transplant("good", "bad", runs=folder, task="walker_run")


def test_only_finished_runs_are_drawn(folder, make_run):
    make_run("young.h5", seed=9, config={"total_frames": 90_000, "eval_every_frames": 1000})
    transplant(f"{folder}/a.h5", "self").save(folder / "init.h5")
    (folder / "notes.h5").write_text("no run")
    with ExitStack() as stack, pytest.warns(UserWarning, match="left out") as caught:
        names = [run.path.stem for run in Pool(folder, stack).finished]
    assert names == ["a", "b", "c"]
    texts = sorted(str(warning.message).replace(f"{folder}/", "") for warning in caught)
    assert texts == [
        "left out: notes.h5: not an HDF5 file, so not a run",
        "left out: young.h5 is not finished",
    ]


def test_self_needs_another(folder):
    with pytest.raises(TransplantError, match="cannot both be from self"):
        transplant("self", "self", runs=folder)
    with pytest.raises(TransplantError, match="head cannot be from self"):
        transplant("good", "good", layers={"head": "self"}, runs=folder)


def test_critics_add_cells_only_where_they_differ(folder):
    cells = list(
        grid({"blank": "blank", "bad": "bad"}, critics=["mlp", "blank"], runs=folder, pair="same")
    )
    assert [cell.label for cell in cells] == [
        *("blank-blank", "blank-bad", "bad-blank", "bad-bad"),
        *("blank-bad-critic_blank", "bad-bad-critic_blank"),
    ]


def test_one_critic_is_a_word_and_not_its_letters(folder):
    def digests(critics):
        donors = {"blank": "blank", "bad": "bad"}
        return [cell.digest for cell in grid(donors, critics=critics, runs=folder, pair="same")]

    assert digests("mlp") == digests(["mlp"])
    assert digests(folder / "a.h5") == digests([folder / "a.h5"])


def test_donors_are_given_by_name(folder):
    with pytest.raises(TransplantError, match=r"layers are donors by name, .* not a list"):
        transplant("good", "bad", layers=["mlp1"], runs=folder)
    with pytest.raises(TransplantError, match=r"donors are donors by name, .* not a list"):
        list(grid(["good"], runs=folder))
    with pytest.raises(TransplantError, match="no donor is given"):
        list(grid({}, runs=folder))


def test_runs_chosen_for_a_class(folder):
    chosen = {"good": [folder / "c.h5"], "bad": []}
    with pytest.warns(UserWarning, match=r"c.h5 is taken as good; its return, 12, is middle"):
        cells = list(grid({"good": "good", "bad": "bad"}, chosen=chosen, runs=folder, pair="same"))
    assert cells[1].origins["cnn1"]["run"] == "c.h5"
    assert cells[1].origins["mlp1"]["run"] == "b.h5"
