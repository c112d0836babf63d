"""What agents see: a table of small named features (paper, appendix D)."""

from ganno_env.observations import features
from ganno_env.observations.base import FEATURES, Feature, FeatureContext, control_features
from ganno_env.observations.sets import FEATURE_SETS, observe, resolve_features

__all__ = [
    "FEATURES",
    "FEATURE_SETS",
    "Feature",
    "FeatureContext",
    "control_features",
    "features",
    "observe",
    "resolve_features",
]
