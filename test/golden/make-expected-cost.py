"""Makes expected-cost.json: the cost of decisions drawn from softmax(logits), in plain Python with 50-digit decimals.

The public golden files have no case of expectedCost. The derivative is written out: d/dz_j = p_j (c_j - sum p c).
Run: python3 make-expected-cost.py > expected-cost.json
"""

import json
from decimal import Decimal, getcontext

getcontext().prec = 50


def case(name, options, logits, labels, weights=None, mask=None):
    costs = options["costs"]
    losses, slopes, total, counted = [], [], Decimal(0), Decimal(0)
    for i, (row, label) in enumerate(zip(logits, labels)):
        weight = Decimal(str(weights[i])) if weights else Decimal(1)
        if (mask and not mask[i]) or label == -100:
            losses.append(Decimal(0))
            slopes.append([Decimal(0)] * len(row))
            continue
        masses = [Decimal(str(z)).exp() for z in row]
        p = [m / sum(masses) for m in masses]
        cost = [Decimal(str(c)) for c in costs[label]]
        loss = sum(a * c for a, c in zip(p, cost))
        losses.append(loss)
        slopes.append([weight * a * (c - loss) for a, c in zip(p, cost)])
        total += weight * loss
        counted += weight
    tensor = lambda dtype, shape, data: {"dtype": dtype, "shape": shape, "data": data}
    n, k = len(logits), len(logits[0])
    batch = {
        "logits": tensor("float64", [n, k], [z for row in logits for z in row]),
        "labels": tensor("int32", [n], labels),
    }
    if weights:
        batch["weights"] = tensor("float64", [n], weights)
    if mask:
        batch["mask"] = tensor("int32", [n], mask)
    return {
        "id": f"expectedCost/{name}",
        "objective": "expectedCost",
        "options": options,
        "reduction": {"per": "token", "divideBy": "weight"},
        "batch": batch,
        "expected": {
            "perUnit": tensor("float64", [n], [float(x) for x in losses]),
            "numerator": float(total),
            "denominator": float(counted),
            "value": float(total / counted),
            "gradients": {"logits": tensor("float64", [n, k], [float(x / counted) for row in slopes for x in row])},
        },
        "tolerance": 1e-9,
        "reference": "formula in 50-digit decimals",
    }


costs = [[0, 1, 4], [2, 0, 1], [10, 3, 0]]
logits = [[0.3, -1.2, 0.7], [2.0, 0.1, -0.5], [-0.4, 0.9, 0.2], [1.5, 1.5, -3.0]]
cases = [
    case("plain", {"costs": costs}, logits, [0, 1, 2, 2]),
    case("ignored", {"costs": costs}, logits, [0, -100, 2, 1]),
    case("weights-mask", {"costs": costs}, logits, [2, 1, 0, 1], [0.5, 2, 1, 0.25], [1, 1, 0, 1]),
    case("negative-costs", {"costs": [[-1, 0.5, 2], [1, -2, 0], [0, 0, -3]]}, logits, [0, 1, 2, 0]),
]
print(json.dumps({"format": 1, "family": "categorical", "madeWith": {"python": "decimal"}, "cases": cases}, indent=1))
