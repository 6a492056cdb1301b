"""Convolutions in int4: large ones are stored in 8 bits, where 8 bits hold them, and restored to float32 on loading."""

from __future__ import annotations

import numpy as np

from primus_export.calibration import Seen
from primus_export.formats.base import Precision
from primus_export.rounding import Rounded, round_matrix
from primus_models.graph import Conv1d

MIN_FILTERS = 8_192
"""Convolutions with fewer weights stay float32."""
LARGEST_ERROR = 0.005
"""Of what the filters give, the error that rounding may make, in units of its spread.

A filter over log spectra, whose bands go up and down together, can miss it: 0.012 in `tempo`, and then a cosine of
.9991 on glasses where it is .9999 with that one convolution in float32.
"""


def int4_filters(precision: Precision, step: Conv1d, seen: Seen) -> Rounded | None:
    """A convolution's filters in 8 bits: codes `(O, I, K)`, scales `(O, 1)`; None where they stay float32."""
    if precision != "int4" or step.weight.size < MIN_FILTERS:
        return None
    matrix, inputs = step.weight.reshape(len(step.weight), -1), seen.patches(step)
    rounded = round_matrix(matrix, 8, inputs)
    error = inputs @ (rounded.codes * rounded.scales.astype(np.float64) - matrix).T
    if np.sqrt(np.mean(np.square(error))) > LARGEST_ERROR * np.std(inputs @ matrix.T.astype(np.float64)):
        return None
    return Rounded(rounded.codes.reshape(step.weight.shape), rounded.scales)
