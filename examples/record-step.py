"""Trains softmax regression with NumPy in three micro-batches a step, and records every tenth step.

    python examples/record-step.py && losswright audit runs/record-step/*
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "recorders"))
from losswright_recorder import Recorder

contract = {"objective": "crossEntropy", "options": {"ignoreIndex": -100}}
recorder = Recorder("runs/record-step", contract, every=10, task="softmax regression in NumPy")

random = np.random.default_rng(0)
truth = random.normal(size=(6, 4))
weights = np.zeros((6, 4))

for step in range(21):
    # Three micro-batches of 5, 9 and 30 labeled rows; all others are padding.
    batches = []
    for labeled in (5, 9, 30):
        x = random.normal(size=(32, 6))
        labels = (x @ truth).argmax(axis=1)
        labels[labeled:] = -100
        batches.append((x, labels))
    count = sum((labels != -100).sum() for _, labels in batches)

    total, gradient_of_weights = 0.0, np.zeros_like(weights)
    for x, labels in batches:
        logits = x @ weights
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        kept = np.flatnonzero(labels != -100)
        losses = -np.log(p[kept, labels[kept]])
        gradient = np.zeros_like(p)
        gradient[kept] = p[kept]
        gradient[kept, labels[kept]] -= 1
        gradient /= count

        recorder.record(step, losses.mean(), gradients={"logits": gradient}, logits=logits, labels=labels)
        total += losses.sum()
        gradient_of_weights += x.T @ gradient
    recorder.report(step, total / count)
    weights -= 0.5 * gradient_of_weights
    if recorder.due(step):
        print(f"step {step:2}: loss {total / count:.4f} over {count} rows")

recorder.flush()
print(*sorted(os.listdir("runs/record-step")))
print(*sorted(os.listdir("runs/record-step/step-00000020")), sep="\n")
