"""Deciding by what mistakes cost: the answer that is expected to cost least. numpy only; what it takes is chosen on
validation images and kept in `settled["costs"]`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.wishes import ABSTAIN, Cost

__all__ = [
    "OTHERS",
    "cheapest",
    "cost_matrix",
    "cost_threshold",
    "label_costs",
    "price",
    "priced",
    "settled_costs",
    "settled_label_costs",
]

OTHERS = 1.0  # what a mistake costs that has no cost of its own
MISSED, FALSE = "missed", "false"
NAMED = 10  # labels that a message lists
ROUNDING = 1e-12


def priced(costs: Sequence[Cost], labels: Sequence[str], *, pairs: bool) -> list[dict[str, Any]]:
    """The costs of mistakes by label, JSON-ready: `true`, `answer` and `cost`. `LABEL:missed` has no `answer` (whatever
    is said instead), `LABEL:false` no `true` (whatever it is).

    Args:
        pairs: whether one label can be answered in place of another.

    Raises:
        ValueError: a name is no label, a right answer is to cost something, or one mistake has two costs.
    """
    known, found, seen = set(labels), [], set()
    for cost in costs:
        mistake = None if cost.of == ABSTAIN else _mistake(cost, known, labels, pairs)
        if cost.of in seen or mistake in seen:
            raise ValueError(f"{cost.of!r} can have one cost, and was given two")
        seen |= {cost.of, mistake} - {None}
        if mistake:
            found.append({"true": mistake[0], "answer": mistake[1], "cost": cost.value})
    return found


def _mistake(cost: Cost, known: set[str], labels: Sequence[str], pairs: bool) -> tuple[str | None, str | None]:
    """A label may have a `:` of its own: wherever it can be taken apart into two labels it is."""
    parts = [(cost.of[:at], cost.of[at + 1 :]) for at, mark in enumerate(cost.of) if mark == ":"]
    both = [part for part in parts if set(part) <= known] if pairs else []
    if len(both) > 1:
        raise ValueError(f"{cost.of!r} may be read in {len(both)} ways: a label has a ':' of its own")
    if both:
        if both[0][0] == both[0][1]:
            raise ValueError(f"{cost.of!r} is a right answer, which costs nothing, and was to cost {cost.value:g}")
        return both[0]
    label, _, kind = cost.of.rpartition(":")
    if label in known and kind in (MISSED, FALSE):
        return (label, None) if kind == MISSED else (None, label)
    form = "TRUE:ANSWER, LABEL:missed or LABEL:false" if pairs else "LABEL:missed or LABEL:false"
    more = ", …" if len(labels) > NAMED else ""
    raise ValueError(f"expected {form} with the labels {', '.join(labels[:NAMED])}{more}; found {cost.of!r} in {cost}")


def price(costs: Sequence[Cost]) -> float | None:
    """Of no answer; None where there always is one."""
    return next((cost.value for cost in costs if cost.of == ABSTAIN), None)


def cost_matrix(mistakes: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """(K, K) what it costs by true label (row) and answer (column): 0 where it is right, 1 where nothing was said. A
    pair counts before `missed` and `false`; of these two the larger."""
    place, k = {label: number for number, label in enumerate(labels)}, len(labels)
    rows, columns = np.full((2, k), np.nan)
    for one in mistakes:
        if one["answer"] is None:
            rows[place[one["true"]]] = one["cost"]
        elif one["true"] is None:
            columns[place[one["answer"]]] = one["cost"]
    matrix = np.fmax(rows[:, None], columns)
    matrix[np.isnan(matrix)] = OTHERS
    for one in mistakes:
        if one["true"] is not None and one["answer"] is not None:
            matrix[place[one["true"]], place[one["answer"]]] = one["cost"]
    np.fill_diagonal(matrix, 0.0)
    return matrix


def label_costs(mistakes: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(K,) what it costs to miss each label, and (K,) to say it where it is not; 1 where nothing was said."""
    place, (missed, false) = {label: number for number, label in enumerate(labels)}, np.full((2, len(labels)), OTHERS)
    for one in mistakes:
        if one["answer"] is None:
            missed[place[one["true"]]] = one["cost"]
        else:
            false[place[one["answer"]]] = one["cost"]
    return missed, false


def settled_costs(
    probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str], costs: Sequence[Cost]
) -> dict[str, Any]:
    """JSON-ready: the costs, the cheapest answer that is always the same (`constant`, None: none at all), and with two
    labels that are always answered the `threshold` on the probability of the second one. With more labels, or a price
    of no answer, nothing is chosen: the probabilities decide.

    Args:
        probabilities: (N, K), calibrated; N at least 1.
        targets: (N,) numbers of labels.
    """
    mistakes, abstain = priced(costs, labels, pairs=True), price(costs)
    matrix, truth = cost_matrix(mistakes, labels), targets.astype(np.int64)
    always = matrix[truth].mean(axis=0)
    constant: str | None = labels[int(always.argmin())]
    if abstain is not None and abstain < always.min():
        constant = None
    found = {"mistakes": mistakes, "constant": constant, "n": len(truth)}
    if abstain is not None:
        return {**found, "abstain": abstain}
    if len(labels) != 2:
        return found
    limit, chosen = cost_threshold(probabilities[:, 1], truth == 1, float(matrix[1, 0]), float(matrix[0, 1]))
    return {**found, "threshold": limit, "chosen": [labels[1]] if chosen else []}


def settled_label_costs(
    probability: np.ndarray, targets: np.ndarray, labels: Sequence[str], costs: Sequence[Cost]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Likewise of several labels at once, and name to threshold. `constant`: the labels that it would cost less to say
    of every image than of none.

    Args:
        probability: (N, K), calibrated.
        targets: (N, K) 1, 0 and NaN (not known).
    """
    mistakes = priced(costs, labels, pairs=False)
    missed, false = label_costs(mistakes, labels)
    found, chosen = {}, []
    for k, name in enumerate(labels):
        known, true = ~np.isnan(targets[:, k]), targets[:, k] == 1
        limit, moved = cost_threshold(probability[known, k], true[known], float(missed[k]), float(false[k]))
        found[name] = limit
        chosen += [name] if moved else []
    constant = [
        name
        for k, name in enumerate(labels)
        if missed[k] * (targets[:, k] == 1).sum() > false[k] * (targets[:, k] == 0).sum()
    ]
    return {"mistakes": mistakes, "constant": constant, "n": len(targets), "chosen": chosen}, found


def cost_threshold(probability: np.ndarray, positive: np.ndarray, missed: float, false: float) -> tuple[float, bool]:
    """From which probability on a yes costs least, and whether the validation images moved it from where calibrated
    probabilities have it, false / (false + missed).

    They move it where they contradict: where that threshold costs them more than the cheapest one by over one standard
    error of the difference, one more image of each kind counted. It then is the nearest one that does not, and that
    costs no more than the plain answer, from 0.5 on. The cheapest one itself follows the luck of the few images near
    it: at 20 : 1 and with 100 images it cost 1.35 times the least possible, the one that is kept here 1.10 times.

    Source: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, theorem 1; the standard error as in
    Breiman, Friedman, Olshen and Stone, Classification and Regression Trees (1984), section 3.4.3.

    Args:
        probability: (N,) of a yes.
        positive: (N,) whether it is one.
        missed, false: what a wrong no and a wrong yes cost.
    """
    expected = false / (false + missed) if false + missed else 0.5
    n = len(probability)
    if not n:
        return expected, False
    order = np.argsort(-probability, kind="stable")
    falling, said = probability[order], np.append(0, positive[order].cumsum())
    cuts = np.append(0, np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) + 1)  # how many are said to be so
    hits, wrong = said[cuts], cuts - said[cuts]
    cost = missed * (said[-1] - hits) + false * wrong
    best = int(cost.argmin())
    worse = cost - cost[best]
    squares = missed**2 * (abs(hits - hits[best]) + 1) + false**2 * (abs(wrong - wrong[best]) + 1)
    near = worse <= np.sqrt(np.maximum(squares - worse**2 / n, 0)) + ROUNDING
    here, plain = (int(np.searchsorted(cuts, (probability >= limit).sum())) for limit in (expected, 0.5))
    if near[here]:
        return expected, False
    good = np.flatnonzero(near & (cost <= cost[plain] + ROUNDING))
    k = int(good[abs(cuts[good] - cuts[here]).argmin()])
    above = 1.0 if k == 0 else float(falling[cuts[k] - 1])
    below = 0.0 if k == len(cuts) - 1 else float(falling[cuts[k]])
    if k == 0 and below == 1.0:
        return float(np.nextafter(1.0, 2.0)), True
    return (above + below) / 2, True


def cheapest(scaled: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], costs: Mapping[str, Any]) -> Any:
    """(N,) numbers of the labels that are answered, and (N,) whether no answer is expected to cost less than that. Of
    answers that cost the same, the likeliest.

    Source: Elkan, as above, equation 1; Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on
    Information Theory 16 (1970) 41-46.

    Args:
        scaled: (N, K) logits over the temperature.
        probabilities: (N, K) softmax of them.
        costs: what `settled_costs` gave.
    """
    if "threshold" in costs:
        said = (probabilities[:, 1] >= costs["threshold"]).astype(np.int64)
        return said, np.zeros(len(said), bool)
    matrix = cost_matrix(costs["mistakes"], labels)
    expected = probabilities @ matrix
    least = expected.min(axis=1, keepdims=True)
    said = np.where(expected <= least + ROUNDING * max(1.0, float(matrix.max())), scaled, -np.inf).argmax(axis=1)
    return said, least[:, 0] > costs.get("abstain", np.inf)
