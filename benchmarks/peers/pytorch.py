"""PyTorch on the CPU, eager: answers the questions of contestant.mjs, see serve.mjs for the protocol.

Whether its allocator keeps its heap ("warm") is said by the environment that the suite starts it with.
"""

import array
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

DTYPES = {"float32": torch.float32, "float64": torch.float64, "int32": torch.int32}
SAMPLE_SECONDS = 0.02


def read(given):
    size = 1
    for length in given["shape"]:
        size *= length
    data = torch.from_file(given["path"], shared=False, size=size, dtype=DTYPES[given["dtype"]])
    data = data.reshape(given["shape"]).clone()
    return data.long() if given["dtype"] == "int32" else data


def ctc(fields, _):
    # Mean over sequences of the undivided loss, as losswright's default; torch's own mean divides by the lengths.
    losses = F.ctc_loss(
        fields["logits"].log_softmax(-1),
        fields["labels"],
        fields["inputLengths"],
        fields["labelLengths"],
        reduction="none",
    )
    return losses.mean()


def binary_focal(fields, _):
    # torchvision.ops.sigmoid_focal_loss
    z, y = fields["logits"], fields["targets"]
    p = torch.sigmoid(z)
    entropy = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    alpha_t = 0.25 * y + 0.75 * (1 - y)
    return (alpha_t * entropy * (1 - p_t) ** 2).mean()


def info_nce(fields, options):
    q = F.normalize(fields["queries"], dim=-1)
    k = F.normalize(fields["keys"], dim=-1)
    scores = q @ k.T / options["temperature"]
    return F.cross_entropy(scores, torch.arange(len(scores)))


def softened(student, teacher, temperature):
    s = F.log_softmax(student / temperature, dim=-1) if temperature != 1 else F.log_softmax(student, dim=-1)
    t = F.log_softmax(teacher / temperature, dim=-1) if temperature != 1 else F.log_softmax(teacher, dim=-1)
    return temperature**2 * F.kl_div(s, t, log_target=True, reduction="batchmean")


LOSSES = {
    "crossEntropy": lambda f, o: F.cross_entropy(f["logits"], f["labels"]),
    "binaryCrossEntropy": lambda f, o: F.binary_cross_entropy_with_logits(f["logits"], f["targets"]),
    "binaryFocal": binary_focal,
    "squaredError": lambda f, o: F.mse_loss(f["predictions"], f["targets"]),
    "huber": lambda f, o: F.huber_loss(f["predictions"], f["targets"]),
    "smoothL1": lambda f, o: F.smooth_l1_loss(f["predictions"], f["targets"]),
    "ctc": ctc,
    "infoNce": info_nce,
    "linearCrossEntropy": lambda f, o: F.cross_entropy(F.linear(f["hidden"], f["weight"]), f["labels"]),
    "klDivergence": lambda f, o: softened(f["logits"], f["targetLogits"], 1),
    "distillation": lambda f, o: softened(f["logits"], f["teacherLogits"], o["temperature"]),
}


class Work:
    def __init__(self, question):
        work = question["work"]
        torch.set_num_threads(question["threads"])
        if work["objective"] not in LOSSES:
            raise ValueError("it has no such function")
        self.loss = LOSSES[work["objective"]]
        self.options = work["options"]
        self.fields = {name: read(given) for name, given in question["inputs"].items()}
        self.leaves = [self.fields[name].requires_grad_() for name in work["gradients"]]
        self.calls = 1
        if work.get("small"):
            self.calls = 16
            for _ in range(2):
                while self.seconds() < SAMPLE_SECONDS:
                    self.calls *= 2

    def step(self):
        for leaf in self.leaves:
            leaf.grad = None
        loss = self.loss(self.fields, self.options)
        loss.backward()
        return loss

    def seconds(self):
        start = time.perf_counter()
        for _ in range(self.calls):
            self.value = self.step()
        return time.perf_counter() - start

    def run(self, _):
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seconds = self.seconds()
        return {
            "ms": seconds * 1e3 / self.calls,
            "value": self.value.item(),
            "pageFaults": (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / self.calls,
        }

    def gradient(self, question):
        start = question["from"]
        gradient = self.fields[question["field"]].grad.reshape(-1)[start : start + question["count"]]
        with open(question["file"], "wb") as file:
            array.array("f", gradient.tolist()).tofile(file)
        return {}


def main():
    work = None
    for line in sys.stdin:
        try:
            question = json.loads(line)
            if question["do"] in ("prepare", "free"):
                work = None
            if question["do"] == "prepare":
                work = Work(question)
                answer = {"version": torch.__version__}
            elif question["do"] == "free":
                answer = {}
            else:
                answer = getattr(work, question["do"])(question)
        except Exception as error:  # whatever it is, the table says it
            answer = {"cannot": (str(error).splitlines() or [type(error).__name__])[0][:200]}
        print(json.dumps(answer), flush=True)


main()
