"""How a report words numbers and names."""

import pytest

from foveal.report.words import named, number


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.98765, "accuracy", "0.988"),
        (-3.21, "r2", "-3.210"),
        (4.3126, "mae", "4.31"),
        (43.126, "validation_mae", "43.1"),
        (43126.0, "rmse", "43,126"),
        (0.0043126, "median_error", "0.00431"),
        (0.0, "mae", "0"),
        (4.3126e-9, "mae", "4.31e-09"),
    ],
)
def test_numbers_in_words(value: float, name: str, text: str) -> None:
    assert number(value, name) == text


def test_names_in_words() -> None:
    names = {"top5_accuracy": "top-5 accuracy", "macro_f1": "macro F1", "map": "mAP", "macro_auroc": "macro AUROC"}
    assert {name: named(name) for name in names} == names
    assert [named(name) for name in ("ap50", "ap_small")] == ["AP50", "AP small"]
    assert [named(name) for name in ("r2", "support", "warmup")] == ["R²", "images", "warmup"]
