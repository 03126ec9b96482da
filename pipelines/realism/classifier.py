"""A small classifier that tries to tell two sets apart, judged on scenes that it has not seen.

Logistic regression with a ridge on the features and their squares, both standardised by the
training patches. It has no random start and no step size, and takes milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import rankdata

from pipelines.realism.measures import Array

FOLDS = 5
"""Folds of the cross-validation; fewer where a set has fewer scenes."""

RIDGE = 0.03
"""Weight of half the squared coefficients against the mean log-likelihood of a patch."""

STEPS = 30
"""Newton steps at most."""


@dataclass(frozen=True)
class Patches:
    """Features of a set's patches.

    Attributes
    ----------
    features
        (patches, features).
    scene
        (patches,) name of each patch's scene.
    """

    features: Array
    scene: npt.NDArray[np.str_]

    def of(self, scenes: npt.NDArray[np.str_]) -> "Patches":
        """Return the patches of some scenes."""
        keep = np.isin(self.scene, scenes)
        return Patches(self.features[keep], self.scene[keep])

    def only(self, columns: slice) -> "Patches":
        """Return the patches with some of their features."""
        return Patches(self.features[:, columns], self.scene)


def held_out_auc(real: Patches, other: Patches, rng: np.random.Generator) -> float:
    """Return the area under the ROC curve of real against other patches of held-out scenes.

    Parameters
    ----------
    real, other
        Patches, of at least two scenes each.
    rng
        Draws which scenes are held out together.

    Returns
    -------
    float
        Mean over the folds; 0.5 when the sets cannot be told apart, 1 when every patch can. NaN
        when a set has less than two scenes.
    """
    sides = (real, other)
    folds = min(FOLDS, *(len(np.unique(side.scene)) for side in sides))
    if folds < 2:
        return float("nan")
    fold_of = _deal(real.scene, other.scene, folds, rng)
    held = [np.array([fold_of[scene] for scene in side.scene.tolist()]) for side in sides]
    areas = []
    for fold in range(folds):
        score = fit(*(s.features[h != fold] for s, h in zip(sides, held, strict=True)))
        scores = (score(s.features[h == fold]) for s, h in zip(sides, held, strict=True))
        areas.append(auc(*scores))
    return float(np.mean(areas))


def auc(real: Array, other: Array) -> float:
    """Return how often a real patch's score is above another's; ties count half (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([real, other]))
    n, m = len(real), len(other)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def fit(real: Array, other: Array) -> Callable[[Array], Array]:
    """Fit the regression and return what scores (patches, features): high for real ones.

    Newton's method on the mean log-likelihood, in which both sets have the same weight, less the
    ridge.
    """
    both = np.concatenate([real, other])
    first = _Standard.of(both)
    second = _Standard.of(first(both) ** 2)

    def design(features: Array) -> Array:
        x = first(features)
        return np.concatenate([np.ones((len(x), 1)), x, second(x**2)], axis=1)

    x = design(both)
    label = np.repeat([1.0, 0.0], [len(real), len(other)])
    weight = np.repeat([0.5 / len(real), 0.5 / len(other)], [len(real), len(other)])
    ridge = np.full(x.shape[1], RIDGE)
    ridge[0] = 0
    w = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = expit(x @ w)
        gradient = x.T @ (weight * (label - p)) - ridge * w
        # Nearly separated patches have p (1 - p) of nearly 0; the ridge keeps the step finite.
        hessian = (x.T * (weight * p * (1 - p))) @ x + np.diag(ridge + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        w += step
        if np.abs(step).max() < 1e-6:
            break
    return lambda features: np.asarray(design(features) @ w, np.float64)


@dataclass(frozen=True)
class _Standard:
    mean: Array
    std: Array

    @classmethod
    def of(cls, values: Array) -> "_Standard":
        std = values.std(0)
        return cls(values.mean(0), np.where(std > 0, std, 1))

    def __call__(self, values: Array) -> Array:
        return (values - self.mean) / self.std


def _deal(
    real: npt.NDArray[np.str_], other: npt.NDArray[np.str_], folds: int, rng: np.random.Generator
) -> dict[Any, int]:
    """Return the fold of each scene: each fold has some of both sets, a scene of both has one."""
    first, second = set(real.tolist()), set(other.tolist())
    common = rng.permutation(sorted(first & second)).tolist()
    out = {scene: at % folds for at, scene in enumerate(common)}
    for own in (first - second, second - first):
        order = rng.permutation(sorted(own)).tolist()
        out |= {scene: at % folds for at, scene in enumerate(order, len(common))}
    return out
