"""What the page says is what the runs' logs and results hold; nothing in it leads outside."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import vrlprobe
from tests.report.pages import ESCAPED, FRAMES, STUCK, WINDOW, contents, page
from vrlprobe.errors import FormatError
from vrlprobe.report.content import Strip, _strip
from vrlprobe.report.curves import BOTTOM, LEFT, RIGHT, TOP, Axis, path, rounded
from vrlprobe.report.page import render
from vrlprobe.runs.reader import open_run


@pytest.fixture
def paths(make_run):
    return [
        make_run("stuck.h5", seed=1, frames=FRAMES, reward=0.1, log=STUCK, config=WINDOW),
        make_run("escaped.h5", seed=2, frames=FRAMES, log=ESCAPED, config=WINDOW),
    ]


def script_data(html: str):
    """What the page's script is given."""
    (text,) = re.findall(r'id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_a_page_from_python(paths, tmp_path):
    seen = []
    with vrlprobe.open_runs(*paths) as runs:
        probed = vrlprobe.probe(
            runs[0], runs[1], frames=[0, 1000], layers=["mlp1"], max_atoms=2, keep_own=True
        )
        target = tmp_path / "page.html"
        vrlprobe.write_report(
            runs, target, probed=probed, track=lambda items: seen.append(items) or items
        )
        first, second = script_data(target.read_text())["runs"]
        assert first["heat"]["r2"]
        assert second["heat"] is None
        assert [len(items) for items in seen] == [2]
        with pytest.raises(FormatError, match="shows none of these runs, but stuck"):
            vrlprobe.write_report(runs[1], tmp_path / "no.html", probed=probed)
        other = probed.assign_attrs(vrlprobe="metrics")
        with pytest.raises(FormatError, match="a result of probe is needed, not one of metrics"):
            vrlprobe.write_report(runs, tmp_path / "no.html", probed=other)
        with pytest.raises(FormatError, match=r"must end in \.html"):
            vrlprobe.write_report(runs, tmp_path / "page.pdf")
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["page.html"]


class Links(html.parser.HTMLParser):
    """Every address on a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_curves_are_the_logs(paths) -> None:
    made = contents(paths)
    stuck, escaped = made["runs"]
    assert [chart.heading for chart in stuck["charts"]] == [
        "return",
        "spread of actions",
        "gradient norm",
    ]
    with open_run(paths[1]) as run:
        expected = run.returns
    returned, spread, gradient = escaped["charts"]
    np.testing.assert_allclose(returned.values[""], expected, rtol=5e-3)
    assert spread.values[""] == [None, 1e-4, 1e-4, 0.5, 0.6]
    assert gradient.values == {"mlp1": [None, *[1e-6] * 4], "mlp2": [None, *[1e-7] * 4]}
    points = [tuple(map(float, p.split())) for p in spread.lines[0]["path"][1:].split("L")]
    x = [LEFT + f / 4000 * (RIGHT - LEFT) for f in FRAMES[1:]]
    y = [BOTTOM + (np.log10(v) + 9) / 9 * (TOP - BOTTOM) for v in (1e-4, 1e-4, 0.5, 0.6)]
    np.testing.assert_allclose(points, np.transpose([x, y]), atol=0.051)


def test_verdicts_and_spans(paths) -> None:
    stuck, escaped = contents(paths)["runs"]
    assert (stuck["verdict"], stuck["kind"]) == ("stuck since 1,000", "bad")
    assert (escaped["verdict"], escaped["kind"]) == ("escaped at 3,000", "good")
    scale = (RIGHT - LEFT) / 4000
    for run, end in ((stuck, 4000), (escaped, 3000)):
        ((left, width),) = run["charts"][0].spans
        assert (left, left + width) == pytest.approx((LEFT + 1000 * scale, LEFT + end * scale))


def test_the_strip_is_the_film(paths) -> None:
    rng = np.random.default_rng(0)
    images = np.repeat(rng.integers(0, 255, (1, 3, 1, 1, 3), dtype=np.uint8), 24, 2).repeat(24, 3)
    film = xr.Dataset(
        {"image": (("row", "time", "y", "x", "colour"), images)},
        {
            "frame": ("time", [0, 10, 20]),
            "episode_return": ("row", [5.0]),
            "rendered": ("row", [False]),
        },
    )
    shown = _strip(Strip("end", 1000, film))
    content = base64.b64decode(shown["picture"].removeprefix("data:image/jpeg;base64,"))
    picture = np.asarray(Image.open(io.BytesIO(content)), int)
    assert picture.shape == (24, 72, 3)
    for place in range(3):
        seen = picture[12, 24 * place + 12]
        assert abs(seen - images[0, place, 0, 0]).max() < 12


def test_nothing_leads_outside_the_file(paths) -> None:
    text = page(paths)
    links = Links()
    links.feed(text)
    assert all(link.startswith(("#", "data:")) for link in links.found)
    assert not {"iframe", "object", "embed"} & set(links.tags)
    assert re.findall(r"https?://|@import|url\(", text) == []
    assert "default-src 'none'" in text


def test_names_are_escaped(make_run) -> None:
    evil = "</script><script>alert(1)</script>"
    run = make_run("<img src=x>.h5", frames=FRAMES, log=STUCK, config={**WINDOW, "note": evil})
    text = page([run])
    assert evil not in text
    assert "<img src=x>" not in text


def test_the_data_for_the_slider_is_json(paths) -> None:
    data = script_data(page(paths))
    assert data["frames"] == list(FRAMES)
    assert data["runs"][0]["heat"]["r2"][4] == [[0.25, 0.9012, -0.3], [None, None, None]]
    assert data["runs"][0]["phases"] == ["", *["collapsed"] * 4]


def test_the_same_runs_give_the_same_page(paths) -> None:
    assert page(paths) == page(paths)


def test_twenty_runs_of_the_papers_size_stay_under_ten_megabytes(paths) -> None:
    """Noise is the worst that a JPEG can meet; 110 checkpoints, 25 components, 8 layers."""
    made = contents(paths[:1])
    (card,) = made["runs"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1, 10, 84, 84, 3), dtype=np.uint8)
    film = xr.Dataset(
        {"image": (("row", "time", "y", "x", "colour"), images)},
        {
            "frame": ("time", np.arange(10)),
            "episode_return": ("row", [5.0]),
            "rendered": ("row", [False]),
        },
    )
    shape = (110, 25, 8)
    heat = {
        "frames": [10_000 * i for i in range(110)],
        "layers": [f"cnn{i}" for i in range(8)],
        "components": [f"orientations[{i}]" for i in range(25)],
        "r2": rng.uniform(-1, 1, shape).round(2).tolist(),
        "atoms": rng.integers(0, 50, shape).tolist(),
        "probe": "sparse linear",
        "samples": "abc",
        "n_test": 600,
    }
    card = card | {"strips": [_strip(Strip("end", 0, film))] * 3, "heat": heat}
    assert len(render(made | {"runs": [card] * 20}).encode()) < 10_000_000


def test_axes() -> None:
    linear = Axis(0, 333, 100, 0)
    assert [text for _, text in linear.ticks()] == ["0", "100", "200", "300"]
    assert [at for at, _ in linear.ticks()] == pytest.approx([100, 69.97, 39.94, 9.91], abs=0.01)
    log = Axis(1e-9, 1, 90, 0, log=True)
    assert log.ticks() == [(90, "1e-9"), (60, "1e-6"), (30, "1e-3"), (0, "1")]
    assert log.at([0, 1e-12, 10]).tolist() == [90, 90, 0]


def test_paths_bridge_gaps_but_not_resets_and_a_point_is_a_dot() -> None:
    x, y = np.array([0.0, 1, 2, 3]), np.array([5.0, np.nan, 6, 7])
    assert path(x, y, np.array([1, 1, 1, 1])) == "M0.0 5.0L2.0 6.0L3.0 7.0"
    assert path(x, y, np.array([1, 1, 2, 2])) == "M0.0 5.0h0M2.0 6.0L3.0 7.0"
    assert path(np.array([0.0]), np.array([np.nan]), np.array([1])) == ""


def test_classes_and_shading_are_explained(paths, make_run):
    _, *sections = page(paths).split('class="run"')
    assert len(sections) == 2
    for section in sections:
        assert "Over environment frames; shaded: in action collapse." in section
    one = {"good_return": 500.0, "bad_return": 20.0}
    other = make_run("other.h5", seed=3, frames=FRAMES, log=ESCAPED, config=WINDOW | one)
    told = contents([other])["classes"]
    assert told == "good: a return of 500 or more at the end; bad: of 20 or less"
    assert "by each run's own" in contents([*paths, other])["classes"]


def test_a_run_that_is_not_finished_says_so(make_run) -> None:
    config = WINDOW | {"total_frames": 8001, "eval_every_frames": 1000}
    young = make_run("young.h5", frames=FRAMES, reward=0.1, log=STUCK, config=config)
    done = make_run("done.h5", seed=1, frames=FRAMES, reward=0.1, log=STUCK, config=WINDOW)
    with pytest.warns(UserWarning, match="not finished, and counted by the last checkpoint"):
        text = page([young, done])
    first, second = re.findall(r'<tr data-run="\d">.*?</tr>', text)
    assert "bad so far" in first
    assert 'class="mark bad"' not in first
    assert "at 4,000 of 8,000 frames" in first
    assert 'class="mark bad">bad<' in second
    assert "frame 4,000 of 8,000, not finished" in text
    assert "1 of them not finished, counted by the last checkpoint that there is" in text


def test_healthy_is_explained(paths) -> None:
    assert "Healthy: never in action collapse, which says nothing of the return." in page(paths)


def test_a_value_is_rounded_once(make_run) -> None:
    """24.47 was 24 in the table and, by way of 24.5, 25 beside it."""
    run = make_run("a.h5", frames=FRAMES, reward=24.47 / 40, log=STUCK, config=WINDOW)
    (card,) = contents([run])["runs"]
    assert card["returns"] == ["24"] * 5
    assert card["final"] == "24"
    (data,) = script_data(page([run]))["runs"]
    assert data["returns"] == ["24"] * 5
    assert rounded([24.47, 0.02447, np.nan, 0.124951]) == [24.47, 0.02447, None, 0.124951]
