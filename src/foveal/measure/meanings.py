"""What the scores mean, in words; reports and the reference page say it with these."""

from foveal.answers.value import LEVEL

__all__ = ["ERRORS", "PER_LABEL", "SCORES", "TOP"]

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
}

PER_LABEL: dict[str, str] = {
    "ap": "average precision, the area under precision over recall; left out where the test split has none",
    "auroc": "chance that an image that is so is ranked before one that is not; left out where either is missing",
    "precision": "share of the images called so that are so; left out where none was called so",
    "recall": "share of the images that are so that were called so; left out where the test split has none",
    "f1": "harmonic mean of precision and recall; left out where the label is neither true nor predicted anywhere",
    **{name: SCORES[name] for name in ("mae", "rmse", "r2", "median_error", "coverage")},
    "support": "test images of this label, or with this value",
    "known": "test images of which it is known whether they have this label",
}

ERRORS = ("mae", "rmse", "median_error")
"""Scores of which less is better, in the unit of the value."""
