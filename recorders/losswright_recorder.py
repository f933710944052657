"""Record training steps for ``losswright audit``: fields, gradients and reported numbers, from any framework.

    recorder = Recorder("runs/my-run", contract, every=500)        # line one
    ...
    recorder.record(step, loss, logits=logits, labels=labels)      # line two, before loss.backward()

Every 500th step becomes a directory ``runs/my-run/step-00000500`` of a ``step.json`` and ``.npy`` files, in the format
of losswright's docs/step-records.md, whose names are the names here. NumPy alone is required. Tensors of PyTorch, JAX,
TensorFlow, Keras and whatever else gives a NumPy array are taken as they are; no framework is imported.

The recorder never changes a step, and what goes wrong in it is a warning, never an error of the training.
"""

from __future__ import annotations

import atexit
import difflib
import functools
import json
import math
import operator
import os
import re
import shutil
import sys
import time
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

import numpy as np

__all__ = ["Recorder", "RecorderWarning"]
__version__ = "0.1.0"

MIB = 1 << 20


class RecorderWarning(UserWarning):
    """Something was not recorded, or not as a reader would expect. Each reason is said once."""


class Recorder:
    """Records every n-th step of a training run, each as a directory of its own below ``directory``.

    A step is written when a call names another step, at :meth:`flush`, and when the interpreter ends. Several calls for
    one step are its micro-batches. Under torch.distributed every rank writes its own parts.

    :param directory: of this run, and of this recorder alone; made when the first step is written
    :param contract: what the steps should follow, as ``objective.contract`` of losswright writes it; what is left out
        is the default: ``{"objective": "crossEntropy", "options": {"ignoreIndex": -100}}``
    :param every: records the steps whose number it divides; 0 records none
    :param sample_above: bytes of tensors in a record above which units are sampled, the tallies of the whole kept; the
        ranks share them, and so do micro-batches where ``microBatches=`` says how many there are
    :param refuse_above: bytes, shared likewise, above which a step that cannot be sampled is not recorded
    :param tally_within: most numbers read for the numerator of a sampled part; above, its denominator alone is kept
    :param wait: seconds that rank 0 waits for the other ranks' parts of a step before it gives the step up
    :param strict: raise what would be a warning
    :param context: entries of the record's ``context`` that hold for the whole run: ``metric=None`` (the run logs
        none), ``classCounts``, ``combine``, ``rank`` and ``ranks`` where torch.distributed does not know them, ...
    :raises ValueError: for a contract or an entry that the format does not have, naming the near miss
    """

    def __init__(
        self,
        directory: Any,
        contract: Mapping[str, Any],
        *,
        every: int = 500,
        sample_above: int = 64 * MIB,
        refuse_above: int = 1024 * MIB,
        tally_within: int = 1 << 28,
        wait: float = 30.0,
        strict: bool = False,
        **context: Any,
    ) -> None:
        self._directory = os.fspath(directory)
        self._contract = _contract(contract)
        self._every = _whole(0)(every, "every")
        self._limits = _Limits(
            _whole(1)(sample_above, "sample_above"),
            _whole(1)(refuse_above, "refuse_above"),
            _whole(0)(tally_within, "tally_within"),
        )
        self._wait = float(_finite(wait, "wait"))
        self._strict = bool(strict)
        self._fields = OBJECTIVES[self._contract["objective"]] + COMMON_FIELDS
        self._context = _context(context, self._fields, holds_tensors=False)
        if "rank" in self._context and self._context["rank"] >= self._context.get("ranks", 0):
            raise ValueError(f"rank: found {self._context['rank']}, expected ranks= beside it, above it.")
        self._open: Optional[_Step] = None
        self._waiting: List[_Gathering] = []
        self._last = -1
        self._checked = False
        self._said: Set[Any] = set()
        self._process = os.getpid()
        # A call whose step the modulus does not divide ends there. 1 lets every call through: until the first has been
        # checked, and while a step is open, so that the call of the next step closes it.
        self._modulus = 1
        atexit.register(self.flush)

    def record(
        self,
        step: int,
        loss: Any = None,
        *,
        gradients: Optional[Mapping[str, Any]] = None,
        loss_scale: Any = None,
        context: Optional[Mapping[str, Any]] = None,
        **fields: Any,
    ) -> None:
        """Takes the tensors of a step, or of one of its micro-batches, where its loss was computed.

        From PyTorch call it before ``backward()``, with the very tensors that the loss was computed from: a hook on
        each field that requires a gradient copies the gradient as it passes. Elsewhere give ``gradients``.

        A step that is not recorded costs one remainder and one comparison.

        :param step: number of the optimizer step in the run, not in the epoch
        :param loss: what this micro-batch reports, before it is divided by the number of micro-batches or multiplied by
            a loss scale: a number, or a tensor of one
        :param gradients: by field, of the field's shape: its share of the gradient of the step, as this process's
            backward pass gives it. An average over ranks comes later and is applied here
        :param loss_scale: what the loss is multiplied by before the backward pass, still in the gradients: a number, or
            a ``GradScaler``, which is asked only when the step is recorded
        :param context: entries of ``context`` that hold for this micro-batch: ``sequence``, ``scores``, ``terms``, ...
        :param fields: the fields of the objective, unshifted: ``logits=``, ``labels=``, ``mask=``; ``None`` is left out
        :raises ValueError: at the first call, for a name that objective or format do not have, naming the near miss
        """
        if step % self._modulus:
            return
        if not self._checked:
            self._check(step, gradients, context, fields)
            self._guarded(step, self._clear_leftovers)
        self._guarded(step, self._record, step, loss, gradients, loss_scale, context, fields)

    def report(self, step: int, loss: Any = None, **context: Any) -> None:
        """Takes what the trainer reports for a whole step: the loss where micro-batches or ranks have losses of their
        own, the metric, any other entry of ``context``. Call it after the step's ``record``.
        """
        if step % self._modulus:
            return
        self._guarded(step, self._report, step, loss, context)

    def due(self, step: int) -> bool:
        """Whether a step is recorded, for code that computes something for the record alone."""
        return self._every > 0 and step % self._every == 0

    def flush(self) -> None:
        """Writes the step that is open. Rank 0 waits for the other ranks' parts, ``wait`` seconds at most."""
        # A process forked from the training (a loader's worker) holds a copy of what only its parent may write.
        if os.getpid() == self._process:
            self._close(waits=True)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: Any) -> None:
        self.flush()

    # ---- steps ----

    def _check(self, step: Any, gradients: Any, context: Any, fields: Mapping[str, Any]) -> None:
        """Whether a call speaks of what exists. The first one raises, before anything is trained; later ones warn."""
        _whole(0)(step, "step")
        objective = self._contract["objective"]
        for name in fields:
            _reject_unknown(name, self._fields, f"record: field of {objective}")
        if gradients is not None and not isinstance(gradients, Mapping):
            raise _wrong("gradients", type(gradients).__name__, "a dict of them, by the name of the field")
        for name in gradients or {}:
            _reject_unknown(name, self._fields + SHARED_SCALARS, f"record: gradients of {objective}")
        _context(context or {}, self._fields, holds_tensors=True)
        self._checked = True

    def _record(self, step: int, loss: Any, gradients: Any, loss_scale: Any, context: Any, fields: Any) -> None:
        opened = self._turn_to(step)
        if opened is None or opened.broken:
            return
        self._check(step, gradients, context, fields)
        given = _context(context or {}, self._fields, holds_tensors=True)
        rank, ranks = self._place()
        combine = {**self._context.get("combine", {}), **given.get("combine", {})}
        share = 1 / ranks if combine.get("ranks", "mean") == "mean" else 1.0
        parts = ranks * self._context.get("microBatches", 1)
        part = _Part(given, share)
        part.loss = None if loss is None else _word(_number(loss, "loss"))
        part.loss_scale = _loss_scale(loss_scale)
        part.framework = _framework([loss, *fields.values()])
        limits = _Limits(self._limits.sample // parts, self._limits.refuse // parts, self._limits.tally)
        for reason, complaint in part.take(self._contract, fields, gradients or {}, loss, limits):
            self._say(reason, complaint)
        for before in opened.parts:
            before.release(part.hooked)
        opened.rank, opened.ranks = rank, ranks
        opened.parts.append(part)
        part.listen(functools.partial(self._arrive, opened, part))

    def _arrive(self, opened: _Step, part: _Part, name: str, gradient: Any) -> None:
        """The hook on a field: copies the gradient, and returns nothing, so that it stays as it is."""
        if self._open is opened and not opened.broken:
            self._guarded(opened.number, part.arrive, name, gradient)

    def _report(self, step: int, loss: Any, context: Mapping[str, Any]) -> None:
        opened = self._turn_to(step)
        if opened is None or opened.broken:
            return
        opened.context = _merged(opened.context, _context(context, self._fields, holds_tensors=False))
        if loss is not None:
            opened.loss = _word(_number(loss, "loss"))

    def _turn_to(self, step: Any) -> Optional[_Step]:
        """The step of this number, opened if it is to be recorded; closes the one before."""
        step = _whole(0)(step, "step")
        if self._open is None or self._open.number != step:
            self._close(waits=False)
            if self.due(step):
                if step <= self._last:
                    self._say(
                        "backwards",
                        f"step {step} comes after step {self._last}, and a record of its number is replaced: number "
                        "the steps over the whole run, not over an epoch.",
                    )
                self._open = _Step(step)
                self._last = step
            self._settle()
        return self._open

    def _settle(self) -> None:
        busy = self._open is not None or self._waiting
        self._modulus = 1 if busy else self._every or sys.maxsize

    def _close(self, waits: bool) -> None:
        opened, self._open = self._open, None
        try:
            if opened is not None:
                self._guarded(opened.number, self._write, opened)
            while self._waiting and self._waiting[0].decided(waits):
                gathering = self._waiting.pop(0)
                self._guarded(gathering.step.number, gathering.finish, self._contract)
        finally:
            self._settle()

    def _place(self) -> Tuple[int, int]:
        """Rank and number of ranks: as said, or as torch.distributed has them."""
        if "ranks" in self._context:
            return self._context.get("rank", 0), self._context["ranks"]
        distributed = getattr(sys.modules.get("torch"), "distributed", None)
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1

    # ---- failures ----

    def _guarded(self, step: Any, work: Callable[..., Any], *arguments: Any) -> None:
        """Does some work; what it raises costs the record of the step and nothing else."""
        try:
            work(*arguments)
        except Exception as error:
            if self._open is not None:
                self._open.drop()
            if self._strict:
                raise
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            # The same words with other numbers, from the same place, are the same reason.
            place = trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            reason = str(error) or type(error).__name__
            self._say((place, re.sub("[0-9]+", "", reason)), f"step {step} is not recorded: {reason}")

    def _say(self, reason: Any, message: str) -> None:
        if reason in self._said:
            return
        self._said.add(reason)
        depth, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_code.co_filename == __file__:
            depth, frame = depth + 1, frame.f_back
        warnings.warn(f"losswright: {message} (said once; the training goes on)", RecorderWarning, stacklevel=depth)

    # ---- writing ----

    def _write(self, step: _Step) -> None:
        step.release()
        if step.broken or not step.parts:
            return
        awaited = sorted({name for part in step.parts for name in part.awaited})
        if awaited:
            self._say(
                "no gradient",
                f"no gradient of {', '.join(awaited)} arrived in step {step.number}: call record before backward(), "
                "with the very tensors that the loss is computed from (a view made for the record is another tensor).",
            )
        directory = os.path.abspath(self._directory)
        step.context = _merged({"run": os.path.basename(directory), "step": step.number}, self._context, step.context)
        name = f"step-{step.number:08d}"
        final = os.path.join(directory, name)
        os.makedirs(directory, exist_ok=True)
        if step.ranks == 1:
            with _Folder(os.path.join(directory, f".{name}.tmp"), final) as folder:
                folder.write_json("step.json", step.document(self._contract, step.write_parts(folder)))
            return
        partial = os.path.join(directory, f".{name}.partial")
        os.makedirs(partial, exist_ok=True)
        own = f"rank-{step.rank}"
        with _Folder(os.path.join(partial, f".{own}.tmp"), os.path.join(partial, own), f"{own}/") as folder:
            folder.write_json(PART_FILE, step.write_parts(folder))
        if step.rank == 0:
            self._waiting.append(_Gathering(step, partial, final, self._wait))

    def _clear_leftovers(self) -> None:
        """What this rank of a run that broke off left behind must not be taken for this run's. It goes at the first
        call: no rank writes before all have made theirs, since the gradients of a step come from all.
        """
        rank, ranks = self._place()
        if ranks == 1 or not os.path.isdir(self._directory):
            return
        for entry in os.listdir(self._directory):
            if re.fullmatch(r"\.step-\d+\.partial", entry):
                for own in (f"rank-{rank}", f".rank-{rank}.tmp"):
                    shutil.rmtree(os.path.join(self._directory, entry, own), ignore_errors=True)


# ---- names ----

COMMON_FIELDS = ("weights", "mask", "segmentIds", "groupKeys")

_ELEMENT = ("predictions", "targets")
_BINARY = ("logits", "targets")
_CATEGORICAL = ("logits", "labels", "targets")
_LIST = ("scores", "relevance", "mask")
_PAIRS = ("left", "right", "targets")
_POLICY = ("policyChosen", "policyRejected")

#: The fields of every objective.
OBJECTIVES: Dict[str, Tuple[str, ...]] = {
    "absoluteError": _ELEMENT,
    "angularMargin": ("logits", "labels"),
    "approxNdcg": _LIST,
    "asymmetric": _BINARY,
    "barron": _ELEMENT,
    "binaryCrossEntropy": _BINARY,
    "binaryFocal": _BINARY,
    "brier": _CATEGORICAL,
    "cauchy": _ELEMENT,
    "clip": ("images", "texts", "logScale", "excludeMask"),
    "cosineDistance": _ELEMENT,
    "cosineEmbedding": _PAIRS,
    "cpo": _POLICY,
    "crossEntropy": _CATEGORICAL,
    "ctc": ("logits", "logProbs", "labels", "inputLengths", "labelLengths"),
    "dice": ("logits", "targets", "mask"),
    "distillation": ("logits", "teacherLogits", "labels"),
    "dpo": _POLICY + ("referenceChosen", "referenceRejected"),
    "expectedCost": _CATEGORICAL,
    "expectile": _ELEMENT,
    "focal": _CATEGORICAL,
    "gammaNll": _ELEMENT,
    "gaussianNll": _ELEMENT + ("variance",),
    "generalizedCrossEntropy": _CATEGORICAL,
    "hinge": _BINARY,
    "huber": _ELEMENT,
    "infoNce": ("queries", "keys", "labels", "positiveMask", "excludeMask", "temperature"),
    "jensenShannon": ("logits", "targetLogits"),
    "klDivergence": ("logits", "targets", "targetLogits"),
    "kto": ("policy", "reference", "desirable", "klEstimate"),
    "lambdaRank": _LIST,
    "laplaceNll": _ELEMENT + ("scale",),
    "linearChainCrf": ("emissions", "transitions", "start", "end", "labels", "mask"),
    "linearCrossEntropy": ("hidden", "weight", "bias", "labels", "targets"),
    "listMle": _LIST,
    "listNet": _LIST,
    "logCosh": _ELEMENT,
    "marginRanking": _PAIRS,
    "multiMargin": ("logits", "labels"),
    "negativeBinomialNll": _ELEMENT,
    "ntXent": ("embeddings",),
    "ordinal": ("logits", "labels"),
    "orpo": _POLICY,
    "pairContrastive": _PAIRS,
    "pairwiseLogistic": ("chosen", "rejected", "margin"),
    "poissonNll": _ELEMENT,
    "policyGradient": ("logProbs", "oldLogProbs", "referenceLogProbs", "advantages"),
    "polyOne": _CATEGORICAL,
    "pseudoHuber": _ELEMENT,
    "quantile": _ELEMENT,
    "rankingSoftmax": _LIST,
    "rnnTransducer": ("logits", "labels", "inputLengths", "labelLengths"),
    "sigLip": ("images", "texts", "logScale", "excludeMask", "bias"),
    "simPo": _POLICY,
    "smoothL1": _ELEMENT,
    "squaredError": _ELEMENT,
    "squaredLogError": _ELEMENT,
    "studentTNll": _ELEMENT + ("scale",),
    "supervisedContrastive": ("embeddings", "labels"),
    "symmetricCrossEntropy": _CATEGORICAL,
    "triplet": ("anchors", "positives", "negatives"),
    "tukey": _ELEMENT,
    "tversky": ("logits", "targets", "mask"),
    "tweedie": _ELEMENT,
    "unlikelihood": _CATEGORICAL,
}

#: Scalars whose gradient may be given though the objective has no such field.
SHARED_SCALARS = ("temperature", "logScale", "bias")


def _reject_unknown(name: Any, known: Iterable[str], where: str) -> None:
    known = tuple(known)
    if name in known:
        return
    # segment_ids and segmentIds are one name to a reader.
    bare = {re.sub("[^a-z0-9]", "", entry.lower()): entry for entry in known}
    near = difflib.get_close_matches(re.sub("[^a-z0-9]", "", str(name).lower()), bare, 1, 0.6)
    fix = f'write "{bare[near[0]]}".' if near else f"expected one of {', '.join(known)}."
    raise ValueError(f'{where}: unknown name "{name}"; {fix}')


def _contract(given: Any) -> Dict[str, Any]:
    """The contract as plain JSON, its outer form checked; options and reduction are losswright's to judge."""
    if not isinstance(given, Mapping):
        raise ValueError(f"contract: found {type(given).__name__}, expected a dict; json.loads makes one of JSON text.")
    contract = _plain(given, "contract", 0)
    for key in contract:
        _reject_unknown(key, ("objective", "options", "reduction", "version"), "contract")
    objective = contract.get("objective")
    if not isinstance(objective, str):
        raise ValueError('contract: found no objective, expected its name: {"objective": "crossEntropy"}.')
    _reject_unknown(objective, OBJECTIVES, "contract: objective")
    for key in ("options", "reduction"):
        if not isinstance(contract.get(key, {}), dict):
            raise ValueError(f"contract: found {type(given[key]).__name__} as {key}, expected a dict.")
    for key in contract.get("reduction", {}):
        _reject_unknown(key, ("per", "divideBy", "onEmpty"), "contract: reduction")
    if contract.get("version", 1) != 1:
        raise ValueError(f"contract: found version {contract['version']}, expected 1.")
    return contract


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > 200 or re.search("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]", value):
        raise _wrong(where, value, "at most 200 characters, without line breaks and other control characters")
    return value


def _plain(value: Any, where: str, depth: int) -> Any:
    """A value as JSON can hold it; arrays become lists."""
    if depth > 32:
        raise ValueError(f"{where}: nested deeper than 32 levels.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _name(value, where)
    if isinstance(value, Mapping):
        for key in value:
            if _name(key, where) in ("__proto__", "constructor", "prototype"):
                raise ValueError(f"{where}: found the key {key!r}, expected a name that JavaScript does not reserve.")
        return {key: _plain(entry, f"{where}.{key}", depth + 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry, where, depth + 1) for entry in value]
    array = _array(value, where)
    if array.ndim or array.dtype.kind == "b":
        return _plain(array.tolist(), where, depth + 1)
    number = array.item()
    if isinstance(number, float) and not math.isfinite(number):
        return _word(number)
    return number


# ---- context ----

# A checker takes a value and what to call it, and gives the value as plain JSON. Tensors stay what they are.
Checker = Callable[[Any, str], Any]


def _wrong(where: str, found: Any, expected: str) -> ValueError:
    shown = repr(found)
    return ValueError(f"{where}: found {shown[:60]}{'...' if len(shown) > 60 else ''}, expected {expected}.")


def _number(value: Any, where: str) -> float:
    """A number, or a tensor of one."""
    if isinstance(value, (str, bytes)):
        raise _wrong(where, value, "a number")
    array = _array(value, where)
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"{where}: found {array.dtype} of shape {array.shape}, expected one number: reduce it first.")
    return float(array.reshape(()))


def _word(number: float) -> Any:
    """A number as JSON has it."""
    if math.isfinite(number):
        return number
    return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"


def _any_number(value: Any, where: str) -> Any:
    return value if value in ("nan", "inf", "-inf") else _word(_number(value, where))


def _finite(value: Any, where: str) -> float:
    number = _number(value, where)
    if not math.isfinite(number):
        raise _wrong(where, number, "a finite number")
    return number


def _above_zero(value: Any, where: str) -> float:
    number = _finite(value, where)
    if number <= 0:
        raise _wrong(where, number, "a number above 0")
    return number


def _whole(least: int) -> Checker:
    def check(value: Any, where: str) -> int:
        expected = "a whole number" if least < 0 else f"a whole number from {least}"
        try:
            number = operator.index(value)
        except TypeError:
            raise _wrong(where, value, expected) from None
        if isinstance(value, bool) or not max(least, -(2**53)) <= number < 2**53:
            raise _wrong(where, value, expected)
        return number

    return check


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "a string")
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise _wrong(where, value, "True or False")
    return bool(value)


def _choice(*words: str) -> Checker:
    def check(value: Any, where: str) -> str:
        if value not in words:
            raise _wrong(where, value, " or ".join(f'"{word}"' for word in words))
        return value

    return check


def _list_of(entry: Checker) -> Checker:
    def check(value: Any, where: str) -> List[Any]:
        if not isinstance(value, (list, tuple)):
            if isinstance(value, (str, Mapping)):
                raise _wrong(where, value, "a list")
            value = _array(value, where).tolist()
            if not isinstance(value, list):
                raise _wrong(where, value, "a list")
        return [entry(item, f"{where}[{index}]") for index, item in enumerate(value)]

    return check


def _object(entries: Mapping[str, Checker], required: Tuple[str, ...] = ()) -> Checker:
    def check(value: Any, where: str) -> Dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "a dict")
        for key in value:
            _reject_unknown(key, entries, where)
        for key in required:
            if value.get(key) is None:
                raise ValueError(f'{where}: found no "{key}", which cannot be left out.')
        return {key: entries[key](entry, f"{where}.{key}") for key, entry in value.items() if entry is not None}

    return check


class _Tensor(NamedTuple):
    """A tensor that stands in a context, until it is read."""

    value: Any


def _tensor(value: Any, where: str) -> _Tensor:
    if isinstance(value, (str, bytes, Mapping)):
        raise _wrong(where, value, "a tensor")
    return _Tensor(value)


_term = _object(
    {"name": _text, "coefficient": _finite, "value": _any_number, "intended": _flag, "fields": _list_of(_text)},
    ("name", "coefficient"),
)


def _terms(value: Any, where: str) -> List[Any]:
    terms = _list_of(_term)(value, where)
    names = [term["name"] for term in terms]
    if len(set(names)) < len(names):
        raise ValueError(f"{where}: found {', '.join(names)}, expected a name of its own for each term.")
    if sum(term.get("intended", False) for term in terms) != 1:
        raise ValueError(f'{where}: expected "intended": True in the one term that the contract describes.')
    return terms


def _class_counts(value: Any, where: str) -> List[Any]:
    counts = _list_of(_whole(0))(value, where)
    if not counts:
        raise _wrong(where, counts, "a count for each class")
    return counts


_combination = _choice("mean", "sum")
_CONTEXT: Dict[str, Checker] = {
    "microBatches": _whole(1),
    "ranks": _whole(1),
    "batches": _whole(1),
    "rank": _whole(0),
    "microBatch": _whole(0),
    "combine": _object({"ranks": _combination, "microBatches": _combination}),
    "splitAxis": _choice("sequence", "rows"),
    "sequence": _object(
        {
            "inputIds": _tensor,
            "roles": _tensor,
            "attentionMask": _tensor,
            "segmentIds": _tensor,
            "decoderInputIds": _tensor,
            "padId": _whole(-1 << 53),
            "eosId": _whole(-1 << 53),
            "intended": _object(
                {
                    "labelShift": _whole(0),
                    "lossOn": _list_of(_choice("assistant", "all")),
                    "endOfSequence": _flag,
                    "acrossSegments": _flag,
                }
            ),
        }
    ),
    "metric": _object(
        {
            "name": _text,
            "value": _any_number,
            "of": _choice("validation", "step"),
            "updates": _list_of(_object({"value": _any_number, "count": _finite}, ("value", "count"))),
            "averaging": _choice("samples", "batches", "accumulated"),
            "reads": _text,
            "correctedForWeights": _flag,
        },
        ("name",),
    ),
    "decision": _object({"threshold": _finite, "tuned": _flag}),
    "phase": _text,
    "task": _text,
    "run": _text,
    "framework": _text,
    "computation": _object(
        {"dtype": _choice("float64", "float32", "float16", "bfloat16"), "lossScale": _above_zero}
    ),
    "terms": _terms,
    "alignment": _object({"featureLengths": _tensor, "stride": _whole(1), "symbols": _list_of(_text)}),
    "classCounts": _class_counts,
}
#: Entries that are maps by the name of a field.
_CONTEXT_BY_FIELD: Dict[str, Checker] = {
    "scores": _object({"logProbs": _tensor, "mask": _tensor}, ("logProbs", "mask")),
    "gathered": _object({"ranks": _tensor, "ids": _tensor}),
    "outputs": _tensor,
}
#: Entries that the recorder writes itself.
_OWN_ENTRIES = ("step", "sampled")


def _context(given: Any, fields: Tuple[str, ...], holds_tensors: bool) -> Dict[str, Any]:
    """Entries of a context, checked and copied; tensors are :class:`_Tensor` in it."""
    if not isinstance(given, Mapping):
        raise _wrong("context", given, "a dict")
    checked: Dict[str, Any] = {}
    for name, value in given.items():
        if name in _OWN_ENTRIES:
            raise ValueError(f'context: "{name}" is written by the recorder; leave it out.')
        _reject_unknown(name, [*_CONTEXT, *_CONTEXT_BY_FIELD], "context")
        if name == "metric" and value is None:
            checked[name] = None
        elif value is not None and name in _CONTEXT:
            checked[name] = _CONTEXT[name](value, name)
        elif value is not None:
            entry = _CONTEXT_BY_FIELD[name]
            checked[name] = _object({field: entry for field in fields})(value, name)
    if not holds_tensors:
        for _, _, stem in _leaves(checked):
            raise ValueError(f'context: "{stem}" is a tensor of one batch: give it to record(context=...).')
    return checked


def _leaves(context: Dict[str, Any]) -> Iterator[Tuple[Dict[str, Any], str, str]]:
    """Every tensor or array of a context: what holds it, under which key, and what a file of it is called."""
    for name, holder in context.items():
        inner = holder if name in _CONTEXT_BY_FIELD and name != "outputs" else {"": holder}
        for field, entry in inner.items():
            if not isinstance(entry, dict):
                continue
            for key, value in entry.items():
                if isinstance(value, (_Tensor, np.ndarray)):
                    yield entry, key, "-".join(filter(None, (name, field, key)))


def _merged(*contexts: Mapping[str, Any]) -> Dict[str, Any]:
    """Contexts over one another; entries that are objects are merged key by key."""
    merged: Dict[str, Any] = {}
    for context in contexts:
        for name, value in context.items():
            before = merged.get(name)
            merged[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


# ---- tensors ----


def _is_torch(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "cpu") and hasattr(value, "register_hook")


def _array(value: Any, where: str) -> np.ndarray:
    """A tensor of any framework as NumPy array of plain numbers, perhaps over the same memory."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: found a masked array; fill it, and give the mask as a field.")
    try:
        if _is_torch(value):
            array = _torch_array(value.detach())
        elif hasattr(value, "__array__") or not (hasattr(value, "__dlpack__") or hasattr(value, "numpy")):
            array = np.asarray(value)
        elif hasattr(value, "numpy"):
            array = np.asarray(value.numpy())
        else:
            array = np.from_dlpack(value)
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__name__}"
        fix = "inside a compiled function tensors have no numbers yet: return them from it, and record outside"
        raise TypeError(f"{where}: found a {kind} that gives no array ({error}); {fix}.") from error
    kind = array.dtype.kind
    # bfloat16 and the 8-bit floats of ml_dtypes have kind "V" or a name of their own; float32 holds them exactly.
    if kind == "V" and array.dtype.names is None and re.match("bfloat16|float[0-9]", array.dtype.name):
        return array.astype(np.float32)
    if kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    if kind not in "fiub":
        raise TypeError(f"{where}: found elements of {array.dtype}, expected real numbers, whole numbers or booleans.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _torch_array(tensor: Any) -> np.ndarray:
    name = str(tensor.dtype)
    if name == "torch.bfloat16" or name.startswith("torch.float8"):
        tensor = tensor.float()
    return tensor.cpu().numpy()


class _Pick:
    """Some units of a tensor: ``[B, ..., K]`` becomes ``[n, K]``, and ``[B, ...]`` becomes ``[n]``."""

    def __init__(self, units: np.ndarray, shape: Tuple[int, ...], class_axis: Optional[int]) -> None:
        self._places = np.unravel_index(units, shape)
        self._class_axis = class_axis

    def of(self, tensor: Any) -> Any:
        places = self._places
        if not isinstance(tensor, np.ndarray):
            torch = sys.modules["torch"]
            places = tuple(torch.from_numpy(place).to(tensor.device) for place in places)
            return (tensor if self._class_axis is None else tensor.movedim(self._class_axis, -1))[places]
        return (tensor if self._class_axis is None else np.moveaxis(tensor, self._class_axis, -1))[places]


class _Source:
    """A tensor left where it is until it is known how much of it is wanted. No longer than the call that gave it."""

    def __init__(self, value: Any, where: str) -> None:
        self._where = where
        self._tensor = value.detach() if _is_torch(value) else _array(value, where)
        self.shape: Tuple[int, ...] = tuple(int(length) for length in self._tensor.shape)
        self.size = math.prod(self.shape)
        name = str(self._tensor.dtype)
        if "bfloat16" in name or "float8" in name:
            self.item_bytes = 4
        else:
            self.item_bytes = self._tensor.element_size() if _is_torch(value) else self._tensor.itemsize
        self.bytes = self.size * self.item_bytes

    def read(self, pick: Optional[_Pick] = None) -> np.ndarray:
        """A copy that nobody else holds, of the picked units alone where some are picked: only they leave a device."""
        tensor = self._tensor if pick is None else pick.of(self._tensor)
        return np.array(_array(tensor, self._where), order="C")


def _float_name(value: Any) -> Optional[str]:
    """The floating-point dtype of a tensor or NumPy number; ``None`` where it has none."""
    found = re.search("bfloat16|float16|float32|float64|float8", str(getattr(value, "dtype", "")))
    return found.group() if found else None


#: From the least to the most that a number is resolved.
_PRECISIONS = ("bfloat16", "float16", "float32", "float64")


def _framework(values: Iterable[Any]) -> Optional[str]:
    """The framework that tensors come from, as ``"pytorch 2.9"``."""
    for value in values:
        root = type(value).__module__.split(".")[0]
        if root == "torch":
            version = re.match(r"\d+\.\d+", str(getattr(sys.modules["torch"], "__version__", "")))
            return f"pytorch {version.group()}" if version else "pytorch"
        if root in ("jax", "jaxlib"):
            return "jax"
        if root in ("tensorflow", "keras"):
            return "keras" if "keras" in sys.modules else "tensorflow"
    return None


def _loss_scale(given: Any) -> Optional[float]:
    if given is None:
        return None
    return _above_zero(given.get_scale() if hasattr(given, "get_scale") else given, "loss_scale")


# ---- parts and steps ----


class _Limits(NamedTuple):
    """Bytes above which a part is sampled and refused, and numbers read at most for a numerator."""

    sample: int
    refuse: int
    tally: int


class _Part:
    """A micro-batch of a step: copies of its tensors, and what is still to come from its backward pass."""

    def __init__(self, context: Dict[str, Any], share: float) -> None:
        self.context = context
        self.loss: Any = None
        self.loss_scale: Optional[float] = None
        self.framework: Optional[str] = None
        #: The dtype that tolerances follow from.
        self.dtype: Optional[str] = None
        #: Fields whose gradient has not come yet.
        self.awaited: Set[str] = set()
        self._share = share
        self._fields: Dict[str, np.ndarray] = {}
        self._gradients: Dict[str, np.ndarray] = {}
        self._picks: Dict[str, _Pick] = {}
        self._hooked: Dict[str, Any] = {}
        self._handles: Dict[int, Any] = {}

    def take(
        self,
        contract: Mapping[str, Any],
        fields: Mapping[str, Any],
        gradients: Mapping[str, Any],
        loss: Any,
        limits: _Limits,
    ) -> List[Tuple[str, str]]:
        """Copies what is there; gives what is to be said, each with the reason to say it once."""
        sources = {name: _Source(value, name) for name, value in fields.items() if value is not None}
        if not sources:
            raise ValueError("record: found no field, expected the tensors that the loss was computed from.")
        given = {name: _Source(value, f"gradient of {name}") for name, value in gradients.items() if value is not None}
        for name, gradient in given.items():
            expected = sources[name].shape if name in sources else ()
            if gradient.shape != expected and not (expected == () and gradient.size == 1):
                raise ValueError(f"gradient of {name}: found shape {gradient.shape}, expected {expected}, the field's.")
        self._hooked = {
            name: value
            for name, value in fields.items()
            if name not in given and _is_torch(value) and value.requires_grad
        }
        with_gradient = {*given, *self._hooked} & set(sources)
        self._note_dtype(loss, [fields[name] for name in with_gradient])
        leaves = [(holder, key, _Source(holder[key].value, stem)) for holder, key, stem in _leaves(self.context)]
        self._check_rows(sources, leaves)

        complaints: List[Tuple[str, str]] = []
        outputs = self.context.get("outputs", {})
        # How many tensors of the field's form there are: itself, its gradient, the output behind it.
        copies = {name: 1 + (name in with_gradient) + (name in outputs) for name in sources}
        rest = sum(source.bytes for holder, _, source in leaves if holder is not outputs)
        whole = rest + sum(source.bytes * copies[name] for name, source in sources.items())
        if whole > limits.sample:
            try:
                sampled = _sample(contract, sources, copies, limits.sample - rest, limits.tally)
                self._picks = {name: sampled.pick(name) for name in sampled.fields}
                self.context["sampled"] = sampled.context()
            except _Unsampled as reason:
                size = f"its tensors take {whole / MIB:.1f} MiB"
                if whole > limits.refuse:
                    raise ValueError(
                        f"{size}, above refuse_above ({limits.refuse / MIB:.1f} MiB for each part), and its units "
                        f"cannot be sampled: {reason}."
                    ) from None
                complaints.append((f"whole: {reason}", f"records are kept whole, {size}: {reason}."))
        for holder, key, source in leaves:
            holder[key] = source.read(self._picks.get(key) if holder is outputs else None)
        self._fields = {name: source.read(self._picks.get(name)) for name, source in sources.items()}
        for name, gradient in given.items():
            self._add(name, gradient.read(self._picks.get(name)).reshape(self._shape_of(name)))
        return complaints

    def _check_rows(self, sources: Mapping[str, _Source], leaves: List[Tuple[Dict[str, Any], str, _Source]]) -> None:
        """Whether entries by the name of a field speak of fields that are here, and have the shapes of those."""
        for entry in ("outputs", "gathered"):
            for name in self.context.get(entry, {}):
                _reject_unknown(name, sources, f"context.{entry}: fields of this call")
        outputs, gathered = self.context.get("outputs"), self.context.get("gathered", {})
        for holder, key, source in leaves:
            if holder is outputs and source.shape != sources[key].shape:
                raise ValueError(f"context.outputs.{key}: found shape {source.shape}, expected {sources[key].shape}.")
            name = next((name for name, entry in gathered.items() if entry is holder), None)
            if name is not None and source.shape != sources[name].shape[:1]:
                found, expected = source.shape, sources[name].shape[:1]
                raise ValueError(f"context.gathered.{name}.{key}: found shape {found}, expected {expected}, one a row.")
            if key == "featureLengths" and len(source.shape) != 1:
                raise ValueError(f"context.alignment.{key}: found shape {source.shape}, expected [B].")

    def _note_dtype(self, loss: Any, differentiable: List[Any]) -> None:
        """The least precise dtype among the loss and the fields with a gradient: nothing recorded resolves more."""
        own = _float_name(loss)
        names = {own, *map(_float_name, differentiable)}
        self.dtype = next((name for name in _PRECISIONS if name in names), None)
        # A plain number does not say what it was computed in; nothing then promises float64.
        if own is None and self.dtype == "float64":
            self.dtype = None

    def _shape_of(self, name: str) -> Tuple[int, ...]:
        return self._fields[name].shape if name in self._fields else ()

    def listen(self, arrive: Callable[[str, Any], None]) -> None:
        """Puts hooks on the fields whose gradient is to come; holds none of the tensors afterwards."""
        hooked, self._hooked = self._hooked, {}
        for name, tensor in hooked.items():
            self._handles[id(tensor)] = tensor.register_hook(functools.partial(arrive, name))
            self.awaited.add(name)

    def arrive(self, name: str, gradient: Any) -> None:
        self.awaited.discard(name)
        self._add(name, _Source(gradient, f"gradient of {name}").read(self._picks.get(name)))

    def _add(self, name: str, gradient: np.ndarray) -> None:
        """Adds a gradient: two backward passes of a micro-batch add theirs up."""
        if gradient.dtype.kind != "f":
            raise TypeError(f"gradient of {name}: found {gradient.dtype}, expected floating-point numbers.")
        if gradient.dtype.itemsize < 4:
            gradient = gradient.astype(np.float32)
        if self._share != 1:
            gradient *= self._share
        before = self._gradients.get(name)
        self._gradients[name] = gradient if before is None else before + gradient

    @property
    def hooked(self) -> Set[int]:
        """The identities of the tensors that hooks will be put on."""
        return {id(tensor) for tensor in self._hooked.values()}

    def release(self, tensors: Optional[Set[int]] = None) -> None:
        """Takes the hooks off all tensors, or off some. A parameter (a temperature) is the same in every micro-batch:
        what reaches it from the next one on is the gradient of that one.
        """
        for tensor in list(self._handles):
            if tensors is None or tensor in tensors:
                self._handles.pop(tensor).remove()

    def write(self, folder: _Folder, prefix: str) -> Dict[str, Any]:
        """Writes the tensors; gives the part as JSON has it. Nothing of its tensors is kept."""
        fields = {name: folder.write_array(prefix + name, array) for name, array in self._fields.items()}
        gradients = {
            name: folder.write_array(f"{prefix}{name}-gradient", array) for name, array in self._gradients.items()
        }
        for holder, key, stem in list(_leaves(self.context)):
            holder[key] = folder.write_array(prefix + stem, holder[key])
        self._fields, self._gradients = {}, {}
        loss = {} if self.loss is None else {"loss": self.loss}
        return {"fields": fields, "reported": {**loss, "gradients": gradients}, "context": self.context}


class _Step:
    """A step while it is recorded."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: List[_Part] = []
        self.loss: Any = None
        self.context: Dict[str, Any] = {}
        self.rank, self.ranks = 0, 1
        self.broken = False

    def drop(self) -> None:
        """Gives the step up, and lets go of its tensors."""
        self.broken = True
        self.release()
        self.parts.clear()

    def release(self) -> None:
        for part in self.parts:
            part.release()

    def write_parts(self, folder: _Folder) -> List[Dict[str, Any]]:
        alone = len(self.parts) == 1
        common = self._common()
        documents = []
        for index, part in enumerate(self.parts):
            place: Dict[str, Any] = {} if self.ranks == 1 else {"rank": self.rank}
            if not alone:
                place["microBatch"] = index
            if part.loss_scale is not None and "lossScale" not in common["computation"]:
                part.context = _merged({"computation": {"lossScale": part.loss_scale}}, part.context)
            if "sequence" in part.context:
                part.context["sequence"] = {**self.context.get("sequence", {}), **part.context["sequence"]}
            part.context = {**place, **part.context}
            documents.append(part.write(folder, "" if alone else f"part{index}-"))
        return documents

    def _common(self) -> Dict[str, Any]:
        """What follows from all parts together."""
        common: Dict[str, Any] = {"computation": {}}
        names = {part.dtype for part in self.parts}
        dtype = next((name for name in _PRECISIONS if name in names), None)
        if dtype is not None:
            common["computation"]["dtype"] = dtype
        scales = {part.loss_scale for part in self.parts}
        if len(scales) == 1 and None not in scales:
            common["computation"]["lossScale"] = scales.pop()
        framework = next((part.framework for part in self.parts if part.framework), None)
        if framework is not None:
            common["framework"] = framework
        return common

    def document(self, contract: Mapping[str, Any], parts: List[Dict[str, Any]]) -> Dict[str, Any]:
        """The record as JSON has it, of the parts of all ranks."""
        common = {name: entry for name, entry in self._common().items() if entry}
        context = _merged(common, self.context)
        record: Dict[str, Any] = {"format": 1, "intended": contract}
        if len(parts) == 1:
            reported = parts[0]["reported"]
            # How many there may be was said for the run; this step has one.
            context.pop("microBatches", None)
            context = _merged(context, parts[0]["context"])
            record["fields"] = parts[0]["fields"]
            parts = []
        else:
            reported = {"gradients": {}}
            counts: Dict[int, int] = {}
            for part in parts:
                rank = part["context"].get("rank", 0)
                counts[rank] = counts.get(rank, 0) + 1
            context["microBatches"] = max(counts.values())
            if self.ranks > 1:
                context["ranks"] = self.ranks
                context = _merged({"combine": {"ranks": "mean"}}, context)
                context.pop("rank", None)
        if self.loss is not None:
            reported = {**reported, "loss": self.loss}
        return {**record, "reported": reported, "context": context, "parts": parts}


#: What a rank says of its parts to rank 0.
PART_FILE = "part.json"


class _Gathering:
    """On rank 0: a step whose parts come from all ranks, each written by its rank into the one directory."""

    def __init__(self, step: _Step, partial: str, final: str, wait: float) -> None:
        self.step = step
        self._partial = partial
        self._final = final
        self._wait = wait
        self._deadline = time.monotonic() + wait

    def _missing(self) -> List[int]:
        return [r for r in range(self.step.ranks) if not os.path.isfile(self._path(r))]

    def _path(self, rank: int) -> str:
        return os.path.join(self._partial, f"rank-{rank}", PART_FILE)

    def decided(self, waits: bool) -> bool:
        """Whether all parts are there, or it is too late for those that are not; waits for one of both if asked."""
        while self._missing() and time.monotonic() < self._deadline:
            if not waits:
                return False
            time.sleep(0.02)
        return True

    def finish(self, contract: Mapping[str, Any]) -> None:
        """Makes a record of what all ranks wrote. Whatever happens, nothing half done stays."""
        try:
            missing = self._missing()
            if missing:
                some = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
                raise TimeoutError(
                    f"rank {some} of {self.step.ranks} wrote no part of it within {self._wait:g} s. All ranks must "
                    f"call record for the same steps and see the same directory, {os.path.dirname(self._final)}."
                )
            parts: List[Dict[str, Any]] = []
            for rank in range(self.step.ranks):
                with open(self._path(rank), encoding="utf-8") as file:
                    parts += json.load(file)
            for rank in range(self.step.ranks):
                os.remove(self._path(rank))
            with _Folder(self._partial, self._final, made=True) as folder:
                folder.write_json("step.json", self.step.document(contract, parts))
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)



class _Folder:
    """A directory written beside its place and moved there when it is complete; what fails leaves nothing."""

    def __init__(self, path: str, final: str, prefix: str = "", made: bool = False) -> None:
        self._path = path
        self._final = final
        #: How the record calls this folder in the paths of files.
        self._prefix = prefix
        self._made = made
        self._names: Set[str] = set()

    def __enter__(self) -> _Folder:
        if not self._made:
            shutil.rmtree(self._path, ignore_errors=True)
            os.mkdir(self._path)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if kind is None:
                self._move()
        finally:
            shutil.rmtree(self._path, ignore_errors=True)

    def _move(self) -> None:
        if not os.path.lexists(self._final):
            os.rename(self._path, self._final)
            return
        if os.path.islink(self._final) or not all(map(_OURS.fullmatch, _names_in(self._final))):
            raise FileExistsError(
                f"{self._final} is there and is no record: give the recorder a directory of its own."
            )
        old = f"{self._path}-old"
        shutil.rmtree(old, ignore_errors=True)
        os.rename(self._final, old)
        os.rename(self._path, self._final)
        shutil.rmtree(old, ignore_errors=True)

    def write_array(self, stem: str, array: np.ndarray) -> str:
        """Writes an array; gives its path in the record."""
        name = self._free_name(stem)
        with open(os.path.join(self._path, name), "xb") as file:
            np.save(file, array, allow_pickle=False)
            _sync(file)
        return self._prefix + name

    def write_json(self, name: str, value: Any) -> None:
        # Written whole before a file is opened: what JSON cannot hold shows here.
        text = json.dumps(value, indent=1, allow_nan=False)
        with open(os.path.join(self._path, name), "x", encoding="utf-8", newline="\n") as file:
            file.write(text + "\n")
            _sync(file)

    def _free_name(self, stem: str) -> str:
        """A file name after the stem that no other file has, as losswright writes it."""
        words = re.sub("([a-z0-9])([A-Z])", r"\1-\2", stem).lower()
        plain = re.sub("[^a-z0-9]+", "-", words).strip("-")[:100] or "tensor"
        name, count = f"{plain}.npy", 2
        while name in self._names:
            name, count = f"{plain}-{count}.npy", count + 1
        self._names.add(name)
        return name


#: What a directory may hold that is replaced.
_OURS = re.compile(r".*\.npy|step\.json|part\.json|rank-\d+")


def _names_in(path: str) -> List[str]:
    return os.listdir(path) if os.path.isdir(path) else [path]


def _sync(file: Any) -> None:
    """The rename must not reach the disk before the bytes do."""
    file.flush()
    os.fsync(file.fileno())


# ---- sampling ----


class _Unsampled(Exception):
    """Why units of a step cannot be sampled."""


class _Sampled:
    """The kept units of a part, and the tally of all."""

    def __init__(
        self,
        units: np.ndarray,
        shape: Tuple[int, ...],
        class_axes: Dict[str, Optional[int]],
        numerator: Optional[float],
        denominator: float,
    ) -> None:
        self._units = units
        self._shape = shape
        self._class_axes = class_axes
        self._tally = {"denominator": denominator}
        if numerator is not None:
            self._tally["numerator"] = _word(numerator)

    @property
    def fields(self) -> List[str]:
        return list(self._class_axes)

    def pick(self, name: str) -> _Pick:
        return _Pick(self._units, self._shape, self._class_axes[name])

    def context(self) -> Dict[str, Any]:
        return {"units": self._units, "shape": list(self._shape), "fields": self.fields, "tally": self._tally}


class _RowLoss(NamedTuple):
    """An objective whose units can be sampled."""

    #: The field of scores, which has the gradient.
    score: str
    #: Options and their defaults; a contract with others is not sampled.
    options: Mapping[str, Any]
    #: Losses of some units, in float64: of options, scores, targets and labels.
    losses: Callable[[Mapping[str, Any], np.ndarray, Any, Any], np.ndarray]
    #: Whether a unit is a row of classes.
    of_classes: bool = False


def _cross_entropy(options: Mapping[str, Any], scores: np.ndarray, targets: Any, labels: Any) -> np.ndarray:
    """Cross entropy of rows ``[n, K]``: -log p as log(1 + the others' mass) + (top - z), where nothing cancels."""
    count, classes = scores.shape
    cap = options["logitSoftCap"]
    if cap is not None:
        scores = np.where(np.isfinite(scores), cap * np.tanh(scores / cap), scores)
    scores = scores / options["temperature"]
    if options["priors"] is not None:
        adjustment = options["logitAdjustment"]
        scores = scores + (1.0 if adjustment is None else adjustment) * np.log(np.asarray(options["priors"], float))
    rows = np.arange(count)
    at = scores.argmax(axis=1)
    top = scores[rows, at][:, None]
    # A row with NaN or +inf, or of -inf alone, gives NaN here.
    gaps = top - scores
    masses = np.exp(-gaps)
    masses[rows, at] = np.where(np.isfinite(top[:, 0]), 0.0, np.nan)
    rest = np.log1p(masses.sum(axis=1))[:, None]
    smoothing, per_class = options["labelSmoothing"], options["classWeights"]
    if labels is not None and smoothing == 0:
        losses = rest[:, 0] + gaps[rows, labels]
    else:
        target = np.zeros((count, classes)) if targets is None else targets
        if labels is not None:
            target[rows, labels] = 1.0
        target = (1 - smoothing) * target + smoothing / classes
        if per_class is not None:
            target = target * np.asarray(per_class, float)
        # A class of weight 0 is silent, also where its logarithm is infinite.
        losses = np.where(target == 0, 0.0, target * (rest + gaps)).sum(axis=1)
        losses = np.where(np.isnan(rest[:, 0]), np.nan, losses)
    if options["zLoss"] != 0:
        within = smoothing != 0 and labels is not None and per_class is not None
        weight = np.asarray(per_class, float)[labels] if within else 1.0
        losses = losses + options["zLoss"] * weight * (top + rest)[:, 0] ** 2
    return losses


def _binary_cross_entropy(options: Mapping[str, Any], z: np.ndarray, y: Any, _: Any) -> np.ndarray:
    y = y * (1 - options["labelSmoothing"]) + options["labelSmoothing"] / 2
    positive = options["posWeight"]
    weights = ((y if positive is None else positive * y), 1 - y)
    one, zero = (np.where(w == 0, 0.0, w * np.logaddexp(0, sign * z)) for w, sign in zip(weights, (-1, 1)))
    return np.where(z < np.inf, one + zero, np.nan)


def _huber(options: Mapping[str, Any], predictions: np.ndarray, targets: Any, _: Any) -> np.ndarray:
    size, delta = np.abs(targets - predictions), options["delta"]
    return np.where(size <= delta, size * size / 2, delta * (size - delta / 2))


_ROW_LOSSES: Dict[str, _RowLoss] = {
    "crossEntropy": _RowLoss(
        "logits",
        {
            "ignoreIndex": -100,
            "labelShift": 0,
            "classAxis": -1,
            "labelSmoothing": 0,
            "classWeights": None,
            "temperature": 1,
            "zLoss": 0,
            "logitSoftCap": None,
            "priors": None,
            "logitAdjustment": None,
        },
        _cross_entropy,
        of_classes=True,
    ),
    "binaryCrossEntropy": _RowLoss("logits", {"posWeight": None, "labelSmoothing": 0}, _binary_cross_entropy),
    "squaredError": _RowLoss("predictions", {}, lambda _, p, t, __: (t - p) ** 2),
    "absoluteError": _RowLoss("predictions", {}, lambda _, p, t, __: np.abs(t - p)),
    "huber": _RowLoss("predictions", {"delta": 1}, _huber),
}

#: Units kept at least, however large one is.
_FEWEST = 16

#: Numbers handled at once while a numerator is added up.
_PIECE = 1 << 21


def _sample(
    contract: Mapping[str, Any],
    sources: Mapping[str, _Source],
    copies: Mapping[str, int],
    budget: int,
    tally_within: int,
) -> _Sampled:
    """Chooses units to keep, and tallies all of them. Nothing is drawn: the same step gives the same units.

    :param copies: how many tensors of the form of each field are recorded
    :param budget: bytes that the sample may take
    :raises _Unsampled: with the reason, where units mean nothing alone or their fields do not fit
    """
    objective = contract["objective"]
    loss = _ROW_LOSSES.get(objective)
    if loss is None:
        raise _Unsampled(f"units of {objective} are not sampled")
    others = set(contract.get("options", {})) - set(loss.options)
    if others:
        raise _Unsampled(f"the option {sorted(others)[0]} is not known to the recorder")
    options = {**loss.options, **contract.get("options", {})}
    scores = sources.get(loss.score)
    if scores is None:
        raise _Unsampled(f"there are no {loss.score}")
    class_axis: Optional[int] = None
    shape = scores.shape
    if loss.of_classes:
        # Rows [n, K] have their classes on axis -1 and on axis 1, so that the contract still says right.
        if options["classAxis"] not in (-1, 1) or len(shape) < 2:
            raise _Unsampled("the classes lie on another axis than -1 or 1")
        axis = int(options["classAxis"]) % len(shape)
        class_axis, shape = axis, shape[:axis] + shape[axis + 1 :]
    unit = "token" if loss.of_classes else "element"
    per = contract.get("reduction", {}).get("per", unit)
    if per != unit:
        raise _Unsampled(f"the reduction per {per} is over groups of units")
    if isinstance(options.get("posWeight"), list):
        raise _Unsampled("posWeight has an entry for each place on the last axis")
    counted = _Counted(options, shape, scores, class_axis, sources, loss)

    sampled: Dict[str, Optional[int]] = {}
    for name, source in sources.items():
        if name == loss.score or (name == "targets" and source.shape == scores.shape):
            sampled[name] = class_axis
        elif not loss.of_classes and source.shape == shape:
            sampled[name] = None
    # The targets of a row that lies elsewhere would not be among those of the kept units.
    if counted.shift and "targets" in sampled:
        raise _Unsampled("targets lie at other places than the logits that they are for")
    units = math.prod(shape)
    each = sum(sources[name].bytes // max(units, 1) * copies[name] for name in sampled)
    fixed = sum(source.bytes * copies[name] for name, source in sources.items() if name not in sampled)
    # Eight bytes more for the place of the unit.
    wanted = max(_FEWEST, (budget - fixed) // (each + 8))
    if wanted >= units:
        raise _Unsampled(f"it has {units} units, of which {_FEWEST} are kept at least")
    numerator = None
    if counted.is_readable and counted.live * (scores.size // max(units, 1)) <= tally_within:
        numerator = counted.numerator()
    denominator = counted.denominator(contract.get("reduction", {}).get("divideBy", "weight"))
    return _Sampled(counted.choose(wanted), shape, sampled, numerator, denominator)


class _Counted:
    """Which units a contract counts, how they weigh, and which row of scores each is judged by."""

    def __init__(
        self,
        options: Mapping[str, Any],
        shape: Tuple[int, ...],
        scores: _Source,
        class_axis: Optional[int],
        sources: Mapping[str, _Source],
        loss: _RowLoss,
    ) -> None:
        if not shape:
            raise _Unsampled("there is one unit")
        self._options, self._shape, self._loss = options, shape, loss
        self._scores, self._class_axis = scores, class_axis
        self._targets = sources.get("targets")
        self.shift = int(options.get("labelShift", 0))
        self._units = math.prod(shape)
        #: Whether each unit counts; ``None`` where all do.
        self._counts: Optional[np.ndarray] = None
        labels = sources.get("labels")
        if loss.of_classes and (labels is None) == (self._targets is None):
            raise _Unsampled("it has not one of labels and targets")
        self._labels = self._spread(labels, "labels") if labels else None
        if self._targets is not None and self._targets.shape != scores.shape:
            raise _Unsampled(f"targets have the shape {self._targets.shape}, beside {scores.shape}")
        if not loss.of_classes and self._targets is None:
            raise _Unsampled("there are no targets")
        if self._labels is not None:
            self._leave(self._labels == options["ignoreIndex"])
        if "mask" in sources:
            self._leave(self._spread(sources["mask"], "mask") == 0)
        if self.shift:
            self._leave_unscored(sources)
        self._weights = self._spread(sources["weights"], "weights").astype(float) if "weights" in sources else None
        if self._weights is not None:
            weights = self._weights if self._counts is None else self._weights[self._counts]
            if not (np.isfinite(weights) & (weights >= 0)).all():
                raise _Unsampled("a weight of a unit that counts is negative or not finite")
        self.is_readable = True
        if self._labels is not None:
            self._labels, self.is_readable = self._class_indices(self._labels)
        self._class_weights = None
        if options.get("classWeights") is not None and self._labels is not None:
            if not self.is_readable:
                raise _Unsampled("labels lie outside the classes that have weights")
            self._class_weights = np.asarray(options["classWeights"], float)

    def _spread(self, source: _Source, name: str) -> np.ndarray:
        """The entries of a field, one a unit: of the units' shape, or one a row of axis 0."""
        array = source.read()
        if source.shape == self._shape:
            return array.reshape(-1)
        rows = self._shape[0]
        per_row = (rows,) if name == "segmentIds" else (rows, 1)
        if name == "labels" or len(self._shape) < 2 or source.shape != per_row:
            raise _Unsampled(f"{name} have the shape {source.shape}, beside units of {self._shape}")
        return np.repeat(array.reshape(-1), self._units // max(rows, 1))

    def _leave(self, out: np.ndarray) -> None:
        self._counts = ~out if self._counts is None else self._counts & ~out

    def _leave_unscored(self, sources: Mapping[str, _Source]) -> None:
        """The first labels of a row or segment are scored by nothing."""
        segments = self._spread(sources["segmentIds"], "segmentIds") if "segmentIds" in sources else None
        if len(self._shape) != 2 and not (len(self._shape) == 1 and segments is not None):
            raise _Unsampled(f"units of shape {self._shape} have no time axis to shift along")
        first = np.arange(self._units) % self._shape[-1] < self.shift
        if segments is not None:
            first[self.shift :] |= segments[self.shift :] != segments[: -self.shift]
        self._leave(first)

    def _class_indices(self, labels: np.ndarray) -> Tuple[np.ndarray, bool]:
        """Labels that can index, and whether all that count do."""
        classes = 0 if self._class_axis is None else self._scores.shape[self._class_axis]
        bad = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
        counts = bad if self._counts is None else bad & self._counts
        return np.where(bad, 0, labels).astype(np.int64), not counts.any()

    @property
    def live(self) -> int:
        return self._units if self._counts is None else int(np.count_nonzero(self._counts))

    def denominator(self, divide_by: Any) -> float:
        """What divides: the counted weight or number of units, or the contract's constant where one counts."""
        if divide_by == "count" or (self._weights is None and self._class_weights is None):
            counted: float = self.live
        else:
            counted = math.fsum(self._weigh(piece, True).sum() for piece in self._pieces(1))
        return divide_by["constant"] if isinstance(divide_by, dict) and counted != 0 else counted

    def _weigh(self, units: np.ndarray, in_denominator: bool) -> np.ndarray:
        weights = np.ones(len(units)) if self._weights is None else self._weights[units]
        # Under smoothing class weights act inside the loss, class by class.
        outside = in_denominator or self._options.get("labelSmoothing") == 0
        if self._class_weights is not None and self._labels is not None and outside:
            weights = weights * self._class_weights[self._labels[units]]
        return weights

    def _pieces(self, numbers_each: int) -> Iterator[np.ndarray]:
        """The units that count, so many at once that memory stays small."""
        size = max(1, _PIECE // max(numbers_each, 1))
        if self._counts is None:
            for start in range(0, self._units, size):
                yield np.arange(start, min(start + size, self._units))
        else:
            places = np.flatnonzero(self._counts)
            for start in range(0, len(places), size):
                yield places[start : start + size]

    def numerator(self) -> float:
        """The weighted sum of the losses of all units, in float64."""
        each = 1 if self._class_axis is None else self._scores.shape[self._class_axis]
        sums: List[float] = []
        with np.errstate(all="ignore"):
            for units in self._pieces(each):
                weights = self._weigh(units, False)
                units, weights = units[weights > 0], weights[weights > 0]
                scores = self._read(self._scores, units - self.shift)
                targets = None if self._targets is None else self._read(self._targets, units)
                labels = None if self._labels is None else self._labels[units]
                losses = self._loss.losses(self._options, scores, targets, labels)
                sums.append(float((weights * losses).sum()))
        # fsum refuses infinities of both signs; a plain sum of them is NaN.
        return math.fsum(sums) if all(map(math.isfinite, sums)) else float(np.sum(sums))

    def _read(self, source: _Source, units: np.ndarray) -> np.ndarray:
        return source.read(_Pick(units, self._shape, self._class_axis)).astype(np.float64)

    def choose(self, wanted: int) -> np.ndarray:
        """Places to keep, ascending: three quarters of them score units that count, the rest lie among all others."""
        if self._counts is None:
            return _spread_over(self._units, wanted)
        scoring = np.zeros(self._units, bool)
        scoring[np.flatnonzero(self._counts) - self.shift] = True
        counted, others = np.flatnonzero(scoring), np.flatnonzero(~scoring)
        few = min(len(others), max(wanted // 4, wanted - len(counted)))
        kept = [counted[_spread_over(len(counted), wanted - few)], others[_spread_over(len(others), few)]]
        return np.sort(np.concatenate(kept))


def _spread_over(count: int, wanted: int) -> np.ndarray:
    """So many places of ``range(count)``, one a stratum; the golden ratio keeps them off any period of the rows."""
    if wanted >= count:
        return np.arange(count, dtype=np.int64)
    index = np.arange(wanted, dtype=np.int64)
    within = (index * 0.6180339887498949) % 1
    starts, ends = index * count // wanted, (index + 1) * count // wanted
    return starts + (within * (ends - starts)).astype(np.int64)
