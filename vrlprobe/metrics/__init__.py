"""Metrics of representations and actions: array functions, one number each."""

from vrlprobe.metrics.actions import ACTION_BINS as ACTION_BINS
from vrlprobe.metrics.actions import action_entropy as action_entropy
from vrlprobe.metrics.actions import action_std as action_std
from vrlprobe.metrics.actions import saturated_share as saturated_share
from vrlprobe.metrics.registry import layer_metrics as layer_metrics
from vrlprobe.metrics.representation import DORMANT_DRM as DORMANT_DRM
from vrlprobe.metrics.representation import DORMANT_REDO as DORMANT_REDO
from vrlprobe.metrics.representation import correlation_neurons as correlation_neurons
from vrlprobe.metrics.representation import correlation_samples as correlation_samples
from vrlprobe.metrics.representation import cosine_neurons as cosine_neurons
from vrlprobe.metrics.representation import dead_units as dead_units
from vrlprobe.metrics.representation import dormant_ratio as dormant_ratio
from vrlprobe.metrics.representation import effective_rank as effective_rank
from vrlprobe.metrics.representation import numerical_rank as numerical_rank
from vrlprobe.metrics.representation import singular_values as singular_values
from vrlprobe.metrics.representation import srank as srank
from vrlprobe.metrics.representation import zero_fraction as zero_fraction
from vrlprobe.metrics.similarity import linear_cka as linear_cka
