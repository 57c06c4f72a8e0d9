"""What notebooks show of the domain classes."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

import vrlprobe

LEARNED = Path(__file__).parents[1] / "fixtures/walker_walk-learned.h5"
RECORD = sorted((Path(__file__).parents[1] / "docs/study/desk").glob("*.json"))[0]


def cells(shown: str) -> dict[str, str]:
    """Captions and rows of a table; parsing fails on any text that is not escaped."""
    table = ElementTree.fromstring(shown)
    return {
        "caption": table.findtext("caption") or "",
        **{row.findtext("th") or "": row.findtext("td") or "" for row in table.iter("tr")},
    }


def test_a_run() -> None:
    with vrlprobe.open_run(LEARNED) as run:
        found = cells(run._repr_html_())
    assert found["caption"] == "Run walker_walk-learned.h5"
    assert found["task"] == "walker_walk"
    assert found["return"] == "332.9"
    assert cells(run._repr_html_())["state"] == "closed"


def test_a_record() -> None:
    (record,) = vrlprobe.read_records(RECORD)
    assert cells(record._repr_html_())["state"] == "finished"


def test_a_verdict_and_a_sample_set() -> None:
    with vrlprobe.open_run(LEARNED) as run:
        verdict = cells(vrlprobe.analyses.collapse(run)._repr_html_())
        samples = cells(vrlprobe.make_samples([run])._repr_html_())
    assert verdict["caption"] == "escaped at 40,000"
    assert float(verdict["action_spread"]) == pytest.approx(0.65, abs=0.01)
    assert samples["train samples"] == "1800"
    assert "return 332.9" in samples["walker_walk-learned.h5"]


def test_text_of_a_file_is_escaped(make_run) -> None:
    with vrlprobe.open_run(make_run("r.h5", config={"task": "<script>&"})) as run:
        assert cells(run._repr_html_())["task"] == "<script>&"
