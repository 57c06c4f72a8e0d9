"""One schema for each kind of result, by the name of the kind in files."""

from vrlprobe.results.schemas.ablate import ABLATE
from vrlprobe.results.schemas.cohort import COHORT
from vrlprobe.results.schemas.compare import COMPARE
from vrlprobe.results.schemas.contrast import CONTRAST
from vrlprobe.results.schemas.diagnose import DIAGNOSE
from vrlprobe.results.schemas.escape import ESCAPE
from vrlprobe.results.schemas.film import FILM
from vrlprobe.results.schemas.forecast import FORECAST
from vrlprobe.results.schemas.metrics import METRICS
from vrlprobe.results.schemas.order import ORDER
from vrlprobe.results.schemas.patch import PATCH
from vrlprobe.results.schemas.predict import PREDICT
from vrlprobe.results.schemas.probe import PROBE
from vrlprobe.results.schemas.reset_rule import RESET_RULE
from vrlprobe.results.schemas.similarity import SIMILARITY
from vrlprobe.results.schemas.stitch import STITCH
from vrlprobe.results.schemas.survival import SURVIVAL
from vrlprobe.results.schemas.units import UNITS

SCHEMAS = {
    schema.kind: schema
    for schema in (
        PROBE,
        METRICS,
        SIMILARITY,
        COHORT,
        COMPARE,
        CONTRAST,
        RESET_RULE,
        FORECAST,
        SURVIVAL,
        PREDICT,
        STITCH,
        DIAGNOSE,
        ABLATE,
        PATCH,
        UNITS,
        ORDER,
        ESCAPE,
        FILM,
    )
}
