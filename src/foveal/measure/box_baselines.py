"""Boxes that need no network: where and how large they mostly were in the training images, said of every image."""

import numpy as np

from foveal.answers.detections import CROWD, LABEL, MOST, SCORE, real
from foveal.examples import Examples
from foveal.measure.baselines import MOST_IMAGES
from foveal.types import Geometry

__all__ = ["box_baselines"]

ROUNDS = 30  # of Lloyd's algorithm: what moves after them moves little


def box_baselines(test: Examples, train: Examples, labels: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Name of the baseline to the boxes that it finds in each test image, rows x0 y0 x1 y1 score label by falling
    score, in the image's pixels. Nothing without a training image that has a box."""
    parts = [_shares(real(target), geometry) for target, geometry in zip(train.targets, train.geometries)]
    boxes = np.concatenate(parts) if parts else np.zeros((0, 6))
    boxes = boxes[boxes[:, CROWD] == 0]
    if not len(boxes):
        return {}
    label = int(np.bincount(boxes[:, LABEL].astype(np.int64)).argmax())
    mean = boxes[boxes[:, LABEL] == label, :4].mean(axis=0)
    guesses = {
        "mean_box": np.array([[*mean, 1.0, label]]),
        "mean_boxes": _commonest(boxes, len(train.files), labels, seed),
    }
    return {name: [_pixels(guess, geometry) for geometry in test.geometries] for name, guess in guesses.items()}


def _commonest(boxes: np.ndarray, images: int, labels: int, seed: int) -> np.ndarray:
    """Of each label as many boxes as an image has of it on average, and at least one: the centres of its boxes'
    clusters. A box's score is how many an image has, on average, of its cluster, and at most 1."""
    found = []
    for label in range(labels):
        mine = boxes[boxes[:, LABEL] == label, :4]
        if len(mine):
            centers, shares = _clusters(mine, min(MOST, max(1, round(len(mine) / images))), seed)
            scores = np.minimum(1.0, shares * len(mine) / images)
            found.append(np.column_stack([centers, scores, np.full(len(scores), label)]))
    guess = np.concatenate(found)
    return guess[np.argsort(-guess[:, SCORE], kind="stable")[:MOST]]


def _clusters(points: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (k, 4) and shares (k,) of at most `most` clusters, by Lloyd's algorithm from k-means++ starts; fitted to
    at most 10,000 points. scikit-learn does the same, and takes two seconds to be imported.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    rng = np.random.default_rng(seed)
    points = points[rng.permutation(len(points))[:MOST_IMAGES]]
    centers, distance = points[:1], np.full(len(points), np.inf)
    while True:
        distance = np.minimum(distance, _squares(points, centers[-1:])[:, 0])
        if len(centers) == most or not distance.any():
            break
        centers = np.concatenate([centers, points[[rng.choice(len(points), p=distance / distance.sum())]]])
    cluster = np.zeros(len(points), np.int64)
    for _ in range(ROUNDS):
        cluster = _squares(points, centers).argmin(axis=1)
        counts = np.bincount(cluster, minlength=len(centers))
        sums = np.stack([np.bincount(cluster, column, minlength=len(centers)) for column in points.T], axis=1)
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
    return centers, np.bincount(cluster, minlength=len(centers)) / len(points)


def _squares(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """(n, k) squared distances."""
    return ((points[:, None] - centers) ** 2).sum(axis=2)


def _shares(boxes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Corners in pixels to shares of the image's width and height, float64."""
    return boxes / np.array([geometry.width, geometry.height] * 2 + [1, 1], np.float64)


def _pixels(boxes: np.ndarray, geometry: Geometry) -> np.ndarray:
    return boxes * np.array([geometry.width, geometry.height] * 2 + [1, 1], np.float64)
