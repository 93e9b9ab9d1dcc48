"""Ridge regression whose penalty the training images choose."""

import numpy as np

__all__ = ["PENALTIES", "fit_ridge", "values_of"]

PENALTIES = 10.0 ** np.arange(2, -6.25, -0.25)
"""λ as a share of the number of images, the largest first."""

ROUNDING = 1e-10  # of the largest curvature: what is below says nothing


def fit_ridge(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (F + 1, K), the last row the intercepts, that minimise the squared error plus λ times the squared norm of
    the weights without intercepts; λ of each target that of `PENALTIES` which generalised cross-validation finds best.

    Source: Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter",
    Technometrics 21 (1979) 215-223, equation 1.4.

    Args:
        features: (N, F), of about unit spread.
        targets: (N, K).
    """
    middle, mean = features.mean(axis=0, dtype=np.float64), targets.mean(axis=0, dtype=np.float64)
    centered, wanted = features - middle, targets - mean
    curvature, axes = np.linalg.eigh(centered.T @ centered)
    kept = curvature > max(ROUNDING * curvature[-1], 0)
    curvature, axes = curvature[kept, None], axes[:, kept]  # (R, 1), (F, R)
    along = axes.T @ (centered.T @ wanted)  # (R, K)
    penalty = _best_penalty(curvature, along**2 / curvature, (wanted**2).sum(axis=0), len(features))
    weights = axes @ (along / (curvature + penalty))
    return np.vstack([weights, mean - middle @ weights])


def _best_penalty(curvature: np.ndarray, reached: np.ndarray, whole: np.ndarray, count: int) -> np.ndarray:
    """(K,) λ.

    Args:
        curvature: (R, 1) of the squared error along each axis.
        reached: (R, K) the part of the squared targets that lies along each axis.
        whole: (K,) the squared targets.
        count: of images; one degree of freedom goes to the intercept.
    """
    penalties, free = count * PENALTIES, count - 1 - len(curvature)
    if not len(curvature):
        return np.full(len(whole), penalties[0])
    beyond = np.maximum(whole - reached.sum(axis=0), 0) if free > 0 else np.zeros(len(whole))
    held = [penalty / (curvature + penalty) for penalty in penalties]  # the share of each axis that is held back
    losses = [((share**2 * reached).sum(axis=0) + beyond) / (free + share.sum()) ** 2 for share in held]
    return penalties[np.argmin(losses, axis=0)]


def values_of(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(N, K) of (N, F) features."""
    return features @ weights[:-1] + weights[-1]
