"""The public names with their types."""

from lvlm_audit.traces.common import common_step as common_step
from lvlm_audit.traces.feature_recorder import record_common_step as record_common_step
from lvlm_audit.traces.feature_recorder import record_features as record_features
from lvlm_audit.traces.features import FeatureTrace as FeatureTrace
from lvlm_audit.traces.image_word_recorder import record_image_words as record_image_words
from lvlm_audit.traces.recorder import record as record
from lvlm_audit.traces.recorder import replay as replay
from lvlm_audit.traces.trace import Trace as Trace
