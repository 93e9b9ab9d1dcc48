"""What the scores mean, in words; reports and the reference page say it with these."""

from foveal.answers.value import LEVEL

__all__ = ["ERRORS", "ERROR_KINDS", "PER_LABEL", "PER_LABEL_OF_BOXES", "SCORES", "TOP"]

TOP = 5

SCORES: dict[str, str] = {
    "accuracy": "share of images whose likeliest label is the true one",
    "top5_accuracy": f"share of images whose true label is among the {TOP} likeliest; only with more than {TOP} labels",
    "map": "mean average precision: the mean over labels of the area under precision over recall",
    "macro_auroc": "mean over labels of the chance that an image with the label is ranked before one without",
    "macro_f1": "mean F1 of the labels that are true or predicted somewhere, each label counting the same",
    "micro_f1": "F1 of all answers taken together, where several labels may be true; each answer counts the same",
    "mae": "mean absolute error, in the unit of the value",
    "rmse": "root of the mean squared error, in the unit of the value: large errors weigh more than in the MAE",
    "r2": "share of the variance of the true values that is explained; below 0 where their mean would do better",
    "median_error": "median absolute error, in the unit of the value: half of the answers are nearer",
    "coverage": f"share of the true values that lie in their interval, which was made to hold {100 * LEVEL:.0f} in 100",
    "ap": "COCO's average precision of boxes, the mean over labels and over the IoUs 0.50, 0.55, … 0.95 it takes to "
    "be right; the IoU of two boxes is the area they share over the area they cover together",
    "ap50": "average precision of boxes where an IoU of 0.5 with a true box of their label makes them right",
    "ap75": "average precision of boxes where it takes an IoU of 0.75",
    "ap_small": "AP of objects whose boxes cover less than 32 × 32 pixels of the original image",
    "ap_medium": "AP of objects whose boxes cover 32 × 32 to 96 × 96 pixels",
    "ap_large": "AP of objects whose boxes cover more than 96 × 96 pixels",
    "precision": "share of the boxes shown that are right, at an IoU of 0.5; every box counts the same",
    "recall": "share of the true boxes that the boxes shown find, at an IoU of 0.5; every box counts the same",
    "ece": "expected calibration error: the mean distance, over 15 bins, between how sure the answers are and how many "
    "of them are right; 0 is best",
}

PER_LABEL: dict[str, str] = {
    "ap": "average precision, the area under precision over recall; left out where the test split has none",
    "ap50": "average precision at an IoU of 0.5; left out where the test split has no such box",
    "auroc": "chance that an image that is so is ranked before one that is not; left out where either is missing",
    "precision": "share of the images called so that are so; left out where none was called so",
    "recall": "share of the images that are so that were called so; left out where the test split has none",
    "f1": "harmonic mean of precision and recall; left out where the label is neither true nor predicted anywhere",
    **{name: SCORES[name] for name in ("mae", "rmse", "r2", "median_error", "coverage")},
    "support": "test images of this label, or with this value",
    "known": "test images of which it is known whether they have this label",
    "boxes": "true boxes of this label in the test images",
}

PER_LABEL_OF_BOXES: dict[str, str] = {
    "ap": "average precision, the mean over IoUs of 0.50, 0.55, … 0.95; left out where the test split has no such box",
    "precision": "share of the boxes shown with this label that are right, at an IoU of 0.5; left out where none is "
    "shown",
    "recall": "share of the true boxes of this label that the boxes shown find; left out where the test split has none",
    "support": "test images with a box of this label",
}
"""What of `PER_LABEL` means something else where the answer is boxes."""

ERROR_KINDS: dict[str, str] = {
    "missed": "a true box that no box shown is about",
    "misplaced": "a box about a true one of its label, at an IoU of only 0.1 to 0.5",
    "wrong_class": "a box on a true one of another label, at an IoU of 0.5 or more",
    "misplaced_and_wrong_class": "a box about a true one of another label, at an IoU of 0.1 to 0.5",
    "duplicate": "a box on a true one that a surer box has found already",
    "background": "a box where there is nothing: at an IoU of 0.1 or less with every true one",
}
"""After TIDE (Bolya et al., ECCV 2020), in the order of a page."""

ERRORS = ("mae", "rmse", "median_error", "cost")
"""Scores of which less is better, in a unit of the user's."""
