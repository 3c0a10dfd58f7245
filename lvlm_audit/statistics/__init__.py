"""Statistics over images: resampling, intervals, and the correction for a family of checks.

Layers of one token are dependent, and so are tokens of one image, so the unit that is resampled is
always the image (cluster), never the layer or the token (docs/method.md#statistics). `scipy.stats` takes a
second to import; the normal distribution is in the standard library, Student's t in `scipy.special`.
"""

from lvlm_audit.statistics.answers import NetChange, net_change
from lvlm_audit.statistics.changes import MeanChange, counts_change, quantity_change
from lvlm_audit.statistics.deciding import Estimate, images_to_decide
from lvlm_audit.statistics.differences import RateDifference, rate_difference
from lvlm_audit.statistics.estimates import (
    ClusterMean,
    ShareOfImages,
    Side,
    cluster_mean,
)
from lvlm_audit.statistics.family import hochberg_levels, holm_levels
from lvlm_audit.statistics.halves import fold_of
from lvlm_audit.statistics.medians import bootstrap_difference, bootstrap_median, median_over_images
from lvlm_audit.statistics.paired import NOTHING, Change, Tolerance
from lvlm_audit.statistics.planning import (
    Chances,
    DecidingNumbers,
    images_to_ask,
    images_to_exclude,
    images_to_show,
    numbers_that_decide,
)
from lvlm_audit.statistics.simultaneous import MeanOfMany, simultaneous
from lvlm_audit.statistics.spread import MIN_IMAGES, RESAMPLES, Spread

__all__ = [
    "MIN_IMAGES",
    "NOTHING",
    "RESAMPLES",
    "Chances",
    "Change",
    "ClusterMean",
    "DecidingNumbers",
    "Estimate",
    "MeanChange",
    "MeanOfMany",
    "NetChange",
    "RateDifference",
    "ShareOfImages",
    "Side",
    "Spread",
    "Tolerance",
    "bootstrap_difference",
    "bootstrap_median",
    "cluster_mean",
    "counts_change",
    "fold_of",
    "hochberg_levels",
    "holm_levels",
    "images_to_ask",
    "images_to_decide",
    "images_to_exclude",
    "images_to_show",
    "median_over_images",
    "net_change",
    "numbers_that_decide",
    "quantity_change",
    "rate_difference",
    "simultaneous",
]
