"""Confident learning against what can be worked out by hand, and on labels that were planted wrong."""

import numpy as np
import pytest

from foveal.measure.folds import folds_of
from foveal.measure.suspects import SUSPECT, confident_thresholds, find_suspects, suspect_findings


def test_worked_by_hand() -> None:
    probabilities = np.array(
        [
            [0.9, 0.1],  # label 0, surely
            [0.7, 0.3],
            [0.2, 0.8],  # labelled 0, looks like 1
            [0.1, 0.9],
            [0.55, 0.45],  # labelled 1; reaches neither threshold: says nothing
            [0.65, 0.35],  # labelled 1, reaches 0's threshold
        ]
    )
    labels = np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(confident_thresholds(probabilities, labels), [0.6, 1.7 / 3])
    found = find_suspects(probabilities, labels)
    # label 0: one of three sure ones looks like 1: 1 of 3 images; label 1: one of two, of three images: 1.5, that is 2
    assert found.wrong == pytest.approx(1 + 1.5)
    assert found.rows.tolist() == [2, 5, 4]
    assert found.suggested.tolist() == [1, 0, 0]


def test_a_label_that_the_network_is_never_sure_of_has_a_low_threshold() -> None:
    """Images of label 2 get 0.4 for it and 0.5 for label 0: by the likeliest label all of them would be wrong."""
    probabilities = np.vstack([np.tile([0.9, 0.05, 0.05], (50, 1)), np.tile([0.5, 0.1, 0.4], (10, 1))])
    labels = np.repeat([0, 2], [50, 10])
    found = find_suspects(probabilities, labels)
    assert not len(found.rows)
    assert found.wrong == 0


def planted(wrong: float, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of 4 labels by a network that is right but not sure, labels of which some are wrong, and which."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 4000)
    logits = rng.normal(0, 1, (4000, 4)) + sharpness * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    chosen = rng.random(4000) < wrong
    labels = np.where(chosen, (truth + rng.integers(1, 4, 4000)) % 4, truth)
    return probabilities, labels, chosen


def test_planted_labels_come_first_and_their_number_is_estimated() -> None:
    probabilities, labels, chosen = planted(0.05, 4.0)
    found = find_suspects(probabilities, labels)
    first = found.rows[: chosen.sum()]
    assert chosen[first].mean() > 0.85
    assert found.wrong == pytest.approx(chosen.sum(), rel=0.2)
    own = probabilities[found.rows, labels[found.rows]]
    assert (np.diff(own) >= 0).all()
    assert len(set(found.rows.tolist())) == len(found.rows) <= found.wrong + 4


def test_clean_labels_give_hardly_any() -> None:
    probabilities, labels, _ = planted(0.0, 5.0)
    assert len(find_suspects(probabilities, labels).rows) < 0.01 * len(labels)


def test_findings_are_ranked_and_say_what_they_mean() -> None:
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1], [0.9, 0.1], [0.02, 0.98], [0.3, 0.7]])
    labels = np.array([0, 0, 0, 1, 1])
    found = find_suspects(probabilities, labels)
    (finding,) = suspect_findings(found, probabilities, labels, ["cat", "dog"], ["a", "b", "c", "d", "e"])
    assert (finding.kind, finding.files) == (SUSPECT, ("a",))
    assert finding.as_dict()["score"] == 0.9
    assert (finding.as_dict()["given"], finding.as_dict()["suggested"]) == ("cat", "dog")
    assert finding.message == "labelled cat, looks like dog (probability 0.90, of cat 0.10)"
    assert "correct" in finding.remedy


def test_folds_keep_groups_and_shares() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 300, 900)
    strata = (groups % 10 == 0).astype(np.int64)  # a tenth of the groups
    part = folds_of(strata, groups, 3, seed=0)
    assert all(len(set(part[groups == group])) == 1 for group in set(groups.tolist()))
    counts = np.bincount(part)
    assert counts.min() > 0.8 * counts.max()
    shares = [strata[part == k].mean() for k in range(3)]
    assert max(shares) - min(shares) < 0.04
    assert (folds_of(strata, groups, 3, seed=1) != part).any()
    np.testing.assert_array_equal(folds_of(strata, groups, 3, seed=0), part)


def test_folds_of_single_images_are_stratified_exactly() -> None:
    strata = np.repeat([0, 1, 2], [60, 30, 9])
    part = folds_of(strata, np.arange(99), 3, seed=4)
    assert [np.bincount(part[strata == k]).tolist() for k in range(3)] == [[20, 20, 20], [10, 10, 10], [3, 3, 3]]
