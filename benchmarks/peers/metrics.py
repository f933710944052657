# One metric over the inputs of bench-metrics.mjs: prints seconds, bytes at the peak above the inputs, and the value.
import json
import os
import resource
import sys
import time

import numpy
from sklearn import metrics

work, folder, _ = sys.argv[1:]


def read(name, dtype):
    return numpy.fromfile(os.path.join(folder, name + ".bin"), dtype=dtype)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def calibration(labels, probabilities):
    """The expected calibration error, which scikit-learn does not have, over its calibration bins of NumPy."""
    bins = numpy.minimum((probabilities * 15).astype(numpy.int64), 15)
    counts = numpy.bincount(bins, minlength=16)
    confidence = numpy.bincount(bins, weights=probabilities, minlength=16)
    observed = numpy.bincount(bins, weights=labels, minlength=16)
    return numpy.abs(confidence - observed).sum() / counts.sum()


if work in ("confusion",):
    inputs = (read("classes", numpy.int32), read("predictions", numpy.int32))
else:
    inputs = (read("labels", numpy.int32), read("probabilities", numpy.float64))

works = {
    "auroc": metrics.roc_auc_score,
    "average-precision": metrics.average_precision_score,
    "calibration": calibration,
    "confusion": lambda labels, predictions: float(numpy.trace(metrics.confusion_matrix(labels, predictions))),
}
if work not in works:
    print("null")
    sys.exit()
held = resident()
start = time.perf_counter()
value = works[work](*inputs)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "bytes": peak - held, "value": float(value)}))
