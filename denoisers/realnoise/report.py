"""The results of the bench as a table for the terminal and as JSON."""

from typing import Any

from denoisers.realnoise.bench import Bench, Results
from denoisers.realnoise.scores import Interval, Score


def data(bench: Bench, results: Results) -> dict[str, Any]:
    """Return all numbers as JSON data."""
    split = results.split
    return {
        "pairs": split.train.where,
        "train": [entry.name for entry in split.train.entries],
        "camera_left_out": split.camera,
        "registered": bench.register,
        "shifts": {name: shift._asdict() for name, shift in results.shifts.items()},
        "seeds": bench.seeds,
        "preset": bench.preset,
        "init": bench.start.facts,
        "training": bench.training.model_dump(mode="json", by_alias=True),
        "chosen_on_training_pairs": {name: dict(f) for name, f in results.facts.items()},
        "tested": {
            name: {
                "pictures": [entry.name for entry in tested.entries],
                "scenes": [entry.scene for entry in tested.entries],
                "rows": {
                    row: {
                        "title": title,
                        **_score(results.scores[name][row]),
                        "psnr_by_seed_and_picture": results.psnrs[name][row].tolist(),
                    }
                    for row, title in results.rows.items()
                },
            }
            for name, tested in split.tested.items()
        },
        "seconds_of_this_call": round(results.seconds, 1),
    }


def table(results: Results) -> str:
    """Return the table as text, of one block for each set of test pictures."""
    blocks = []
    for name, tested in results.split.tested.items():
        what = "scenes left out" if name == "scenes" else f"camera left out: {results.split.camera}"
        head = f"{what} ({len(tested)} pictures of {len(tested.scenes)} scenes)"
        cells = [("noise", "PSNR (dB)", "over awgn (dB)", "recovered")]
        cells += [_cells(row, results.scores[name][row]) for row in results.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(4)]
        lines = [
            "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in cells)
        ]
        blocks.append("\n".join([head, *lines]))
    ends = "in brackets: 95 % of resampled scenes; ±: standard deviation over seeds"
    return "\n\n".join([*blocks, ends])


def _score(score: Score) -> dict[str, Any]:
    return {
        "psnr": score.psnr,
        "psnr_std_of_seeds": score.spread,
        "over_awgn": score.over_awgn._asdict(),
        "recovered": score.recovered._asdict() if score.recovered else None,
    }


def _cells(name: str, score: Score) -> tuple[str, str, str, str]:
    spread = f" ±{score.spread:.2f}" if score.spread else ""
    recovered = _text(score.recovered) if score.recovered else "–"
    return name, f"{score.psnr:.2f}{spread}", _text(score.over_awgn), recovered


def _text(found: Interval) -> str:
    # No minus before a zero.
    value, low, high = (round(number, 2) + 0.0 for number in found)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
