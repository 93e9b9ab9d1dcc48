"""Answers to a batch are the answers to its images, whatever was settled."""

from typing import Any

import numpy as np
import pytest

from foveal.answers.deciding import tempered
from foveal.answers.label import Label, decided, softmax
from foveal.tasks import TASKS
from foveal.types import Geometry

LABELS = tuple("abcdefgh")
SHAPES = {"classification": (8,), "multilabel": (8,), "regression": (8,), "detection": (30, 12)}


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_is_decoded_as_its_images(task: str) -> None:
    raw = np.random.default_rng(0).normal(0, 3, (20, *SHAPES[task])).astype(np.float32)
    geometries = [Geometry(40 + k, 30, 0.5, 0.5, 1.0, 2.0) for k in range(20)]
    answer, settled = TASKS[task].answer, {"temperature": 1.7, "half_width": {"a": 2.0}}
    alone = [answer.decode(raw[k : k + 1], geometries[k : k + 1], LABELS, settled)[0] for k in range(20)]
    assert list(answer.decode(raw, geometries, LABELS, settled)) == alone
    assert len({str(one) for one in alone}) > 5
    assert list(answer.decode(raw[:0], [], LABELS, settled)) == []


@pytest.mark.parametrize(
    "settled",
    [
        {},
        {"temperature": 0.4, "abstain": {"confidence": 0.7}},
        {"temperature": 2.0, "at": [{"label": "c", "threshold": 0.05}]},
    ],
)
def test_labels_are_those_that_are_decided(settled: dict[str, Any]) -> None:
    raw = np.random.default_rng(1).normal(0, 2, (200, 8)).astype(np.float32)
    said = decided(raw, LABELS, settled).argmax(axis=1)
    probabilities = softmax(tempered(raw, settled))
    for row, found in enumerate(Label().decode(raw, [None] * 200, LABELS, settled)):
        assert found.label == LABELS[said[row]]
        assert found.probability == found.probabilities[found.label]
        assert found.probability == pytest.approx(probabilities[row, said[row]], rel=1e-12)
        falling = list(found.probabilities.values())
        assert len(falling) == 5
        assert falling[:4] == pytest.approx(sorted(probabilities[row], reverse=True)[:4], rel=1e-12)
        if "abstain" in settled:
            assert found.abstained == (found.probability < 0.7)


def test_of_equal_labels_the_first_is_said() -> None:
    (found,) = Label().decode(np.zeros((1, 8), np.float32), [None], LABELS)
    assert found.label == "a"
    assert list(found.probabilities) == list("abcde")
