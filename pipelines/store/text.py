"""Text in a corpus: UTF-8 bytes, one row a string, padded with zeros.

Zarr v3 has no settled string type: zarr-python warns on fixed-length text, and its older releases
warn on variable-length text too. A ``uint8`` array opens everywhere without a word.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def encode_text(strings: Sequence[str], width: int | None = None) -> npt.NDArray[np.uint8]:
    """Return (n, width) uint8, one zero-padded UTF-8 string a row.

    Parameters
    ----------
    strings
        None of them may hold a zero character.
    width
        Bytes a row; the longest string's by default.

    Raises
    ------
    ValueError
        If a string holds a zero character or is longer than `width` bytes.
    """
    encoded = [text.encode("utf-8", "surrogateescape") for text in strings]
    longest = max((len(row) for row in encoded), default=0)
    width = max(longest, 1) if width is None else width
    if longest > width:
        raise ValueError(f"a text of {longest} bytes does not fit into {width}")
    if any(0 in row for row in encoded):
        raise ValueError("a text with a zero character cannot be stored")
    padded = b"".join(row.ljust(width, b"\0") for row in encoded)
    return np.frombuffer(padded, np.uint8).reshape(len(encoded), width).copy()


def decode_text(rows: npt.NDArray[np.uint8]) -> list[str]:
    """Return the strings of (n, width) uint8 `rows`.

    Raises
    ------
    ValueError
        If a row is not UTF-8 (:class:`UnicodeDecodeError`).
    """
    return [row.tobytes().rstrip(b"\0").decode("utf-8", "surrogateescape") for row in rows]
