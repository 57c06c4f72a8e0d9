"""The page itself: one HTML file with its style, script, pictures and data inside."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vrlprobe.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

AREA = {
    "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM,
}  # fmt: skip


def render(content: Mapping[str, Any]) -> str:
    """The HTML of a report; whatever names the runs carry is escaped."""
    environment = Environment(
        loader=PackageLoader("vrlprobe", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grouped"] = lambda value: f"{value:,}"
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    script = {
        "frames": content["frames"],
        "area": AREA,
        "runs": [
            {
                "frames": run["frames"],
                "phases": run["phases"],
                "returns": run["returns"],
                "charts": [chart.values for chart in run["charts"]],
                "heat": run["heat"],
            }
            for run in content["runs"]
        ],
    }
    return environment.get_template("page.html").render(**content, area=AREA, script_data=script)
