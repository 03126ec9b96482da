"""Which pairs are trained on, and which are left out of it: scenes, and a whole camera."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from noisegen.errors import InputError, UnknownNameError
from pipelines.fit import choose
from pipelines.pairs import Pairs

NO_CAMERA = "none"
"""Said in the place of a camera, leaves none out."""


@dataclass(frozen=True)
class Split:
    """Parts of a set of pairs, of which no two share a scene.

    Attributes
    ----------
    camera
        The camera that is left out; empty if none is.
    train
        Every second scene of the other cameras.
    tested
        By name: ``scenes``, the others of these, and ``camera``, all of the camera left out.
    """

    camera: str
    train: Pairs
    tested: dict[str, Pairs]


def thinned(pairs: Pairs, per_scene: int | None) -> Pairs:
    """Return the first pairs of each scene; all of them if no number is given."""
    if per_scene is None:
        return pairs
    seen: Counter[str] = Counter()
    kept = []
    for number, entry in enumerate(pairs.entries):
        seen[entry.scene] += 1
        if seen[entry.scene] <= per_scene:
            kept.append(number)
    return pairs.take(kept)


def split(pairs: Pairs, camera: str | None = None) -> Split:
    """Divide pairs.

    Parameters
    ----------
    pairs
        All that there are.
    camera
        Which camera is left out, or :data:`NO_CAMERA`. Not said: where there are several, the one
        of the fewest scenes, two at the least if any has as many.

    Raises
    ------
    InputError
        If fewer than two scenes are left for training and testing.
    UnknownNameError
        If no pair is of the camera.
    """
    scenes = defaultdict(set)
    for entry in pairs.entries:
        scenes[entry.camera].add(entry.scene)
    cameras = sorted(scenes.keys() - {""})
    if camera is None:
        camera = NO_CAMERA
        if len(scenes) > 1 and cameras:
            camera = min(cameras, key=lambda name: (len(scenes[name]) < 2, len(scenes[name])))
    elif camera not in (*cameras, NO_CAMERA):
        raise UnknownNameError(
            "camera", camera, cameras, f"{pairs.where} has {', '.join(cameras) or 'none named'}"
        )
    left_out = [i for i, entry in enumerate(pairs.entries) if entry.camera == camera]
    rest = pairs.take([i for i in range(len(pairs)) if i not in left_out])
    if len(rest.scenes) < 2:
        but = f" without those of {camera}" if left_out else ""
        raise InputError(
            f"{pairs.where}: {len(rest.scenes)} scene(s){but}; the bench trains on some scenes and "
            "tests on others, give two or more, or --camera none"
        )
    tested = {"scenes": choose(rest, (2, 2))}
    if left_out:
        tested["camera"] = pairs.take(left_out)
    return Split(camera if left_out else "", choose(rest, (1, 2)), tested)
