"""Writes ssim.json: the structural similarity of two drawn planes by scikit-image, for tests/media/ssim_test.cpp.

    pip install scikit-image==0.26.0 && python3 ssim.py > ssim.json
"""
import json

import numpy
import skimage
from skimage.metrics import structural_similarity

HEIGHT, WIDTH = 37, 53
y, x = numpy.mgrid[:HEIGHT, :WIDTH]
a = ((7 * x + 13 * y + x * y) % 61 / 60).astype(numpy.float32)
b = (0.7 * a + 0.3 * ((5 * x + 3 * y) % 17 / 16)).astype(numpy.float32)

values = []
for height, width, value_range in [(HEIGHT, WIDTH, 1.0), (HEIGHT, WIDTH, 4.5), (11, 11, 1.0)]:
    # The map over all positions, edges mirrored; scikit-image's own mean leaves the edges out.
    _, similarity = structural_similarity(a[:height, :width], b[:height, :width], data_range=value_range, full=True,
                                          gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    values.append({"height": height, "width": width, "range": value_range, "ssim": float(similarity.mean(dtype=float))})
print(json.dumps({"scikit-image": skimage.__version__, "values": values}, indent=1))
