"""The finish of a 2 MP picture, stage by stage on one core, against OpenCV's nearest counterpart.

Run ``python -m benchmarks.finish [OUT.json]``. No bar: the baselines do other things. Each baseline
works on 8-bit R, G, B: ``cv2.bilateralFilter`` for the filters, ``cv2.resize`` by area, the bare
JPEG round trip for the JPEG and for all together. Ours starts at 16 bits and includes the way to
YCbCr and back, which ``rounding alone`` measures. ``patches of 128`` are finished out of their
surroundings, of which a 4:2:0 JPEG needs 32 pixels on every side.
"""

from functools import partial

import cv2
import numpy as np

from benchmarks import harness
from noisegen.isp.finish import finish, needed
from noisegen.isp.geometry import Window
from noisegen.isp.parameters import FinishParameters

HEIGHT, WIDTH = 1024, 2048
PATCH = 128
CURVE = (3.0, 1.0, 0.7, 0.5)
FILTERS = {"luma": 0.03, "chroma": 0.03, "noise": CURVE}
JPEG = {"quality": 95, "subsampling": "4:2:0"}
STAGES = {
    "rounding alone": ("bilateral", {}),
    "luma noise reduction, 3 x 3": ("bilateral", {"luma": 0.03, "noise": CURVE}),
    "luma noise reduction, 5 x 5": (
        "bilateral",
        {"luma": 0.03, "luma_radius": 2, "noise": CURVE},
    ),
    "chroma noise reduction, radius 3": ("bilateral", {"chroma": 0.03, "noise": CURVE}),
    "sharpening": ("bilateral", {"sharpen": 0.5}),
    "shrinking by 1.5": ("resize", {"resize": 1.5}),
    "jpeg": ("jpeg", JPEG),
    "all but shrinking": ("jpeg", {**FILTERS, "sharpen": 0.5, **JPEG}),
}


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    scene = 0.5 + 0.3 * np.sin(y / 30) + 0.1 * np.cos(x / 13)
    noisy = scene[..., None] + rng.normal(0, 0.02, (HEIGHT, WIDTH, 3))
    picture = (np.clip(noisy, 0, 1) * 65535).astype(np.uint16)
    narrow = (picture >> 8).astype(np.uint8)
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    ]
    baselines = {
        "bilateral": lambda: cv2.bilateralFilter(narrow, 3, 8, 0.7),
        "resize": lambda: cv2.resize(
            narrow, None, fx=1 / 1.5, fy=1 / 1.5, interpolation=cv2.INTER_AREA
        ),
        "jpeg": lambda: cv2.imdecode(
            cv2.imencode(".jpg", narrow, options)[1], cv2.IMREAD_COLOR
        ),
    }  # fmt: skip
    subjects = {
        name: (baseline, partial(finish, picture, FinishParameters(**stage)))
        for name, (baseline, stage) in STAGES.items()
    }
    every = FinishParameters(**STAGES["all but shrinking"][1])
    windows = [
        Window(min(top + 2, HEIGHT - PATCH), min(left + 2, WIDTH - PATCH), PATCH, PATCH)
        for top in range(0, HEIGHT, PATCH)
        for left in range(0, WIDTH, PATCH)
    ]

    def patches() -> None:
        for window in windows:
            top, left, height, width = needed(every, (HEIGHT, WIDTH), window)
            part = np.ascontiguousarray(picture[top : top + height, left : left + width])
            finish(part, every, frame=(HEIGHT, WIDTH), corner=(top, left), window=window)

    subjects["all but shrinking, patches of 128"] = ("jpeg", patches)
    results: dict[str, object] = {}
    for name, (baseline, subject) in subjects.items():
        measured = harness.ratio(baselines[baseline], subject, rounds=7)
        measured["megapixels_per_second"] = HEIGHT * WIDTH / 1e6 / measured["subject_seconds"]
        results[f"{name}, against {baseline}"] = measured
    corner = narrow[:256, :256]
    seconds = harness.cpu_seconds(
        lambda: cv2.fastNlMeansDenoisingColored(corner, None, 3, 3, 7, 21)
    )
    results["cv2.fastNlMeansDenoisingColored, megapixels per second"] = 256**2 / 1e6 / seconds
    harness.report("finish", results)


if __name__ == "__main__":
    main()
