"""BSDS500: the Berkeley segmentation data set's 500 pictures, and CBSD68 among them.

References
----------
P. Arbelaez, M. Maire, C. Fowlkes, J. Malik, "Contour detection and hierarchical image
segmentation", IEEE TPAMI 33, 2011.
S. Roth, M. J. Black, "Fields of experts", IJCV 82, 2009 (the 68 test pictures).
"""

import re
from pathlib import PurePosixPath

from catalogs.sources.base import Option, Source, SourceEntry
from catalogs.sources.picture_set import PictureSet

_CBSD68 = """
    3096 12084 14037 16077 19021 21077 24077 33039 101085 101087 102061 103070
    105025 106024 108005 108070 108082 109053 119082 123074 126007 130026 134035 143090
    145086 147091 148026 148089 157055 159008 160068 163085 167062 167083 170057 175032
    175043 182053 189080 196073 197017 208001 210088 216081 219090 220075 223061 227092
    229036 236037 241004 241048 253027 253055 260058 271035 285079 291000 295087 296007
    296059 299086 300091 302008 304034 304074 306005 351093
"""

CBSD68 = frozenset(_CBSD68.split())
"""The usual test pictures of denoising; all are of the split ``val``."""

_EXPECTED = {"all": 500, "train": 200, "val": 100, "test": 200, "cbsd68": 68, "cbsd432": 432}
_FOLDER = re.compile(r"(?:^|[_-])(train|val|test)$", re.IGNORECASE)


class Bsds(PictureSet):
    """The pictures of BSDS500, by the folder they lie in or by their numbers."""

    name = "bsds"
    licence = "non-commercial research and education"
    pattern = re.compile(r"(?:^|/)(\d{4,6})\.(?:jpg|jpeg|png)$", re.IGNORECASE)

    def belongs(self, path: str, scene: str) -> bool:
        """Tell whether a picture is of the split: ``train``, ``val``, ``test`` are folders' names,
        ``cbsd68`` the 68 numbers, ``cbsd432`` all but these."""
        if self.split == "all":
            return True
        if self.split.startswith("cbsd"):
            return (scene in CBSD68) == (self.split == "cbsd68")
        # A root may itself be one split's folder.
        folder = (PurePosixPath(self.root.rstrip("/")) / path).parent.name
        match = _FOLDER.search(folder)
        return match is not None and match[1].lower() == self.split


def _make(root: str, *, split: str) -> Source:
    return Bsds(root, split)


ENTRY = SourceEntry(
    name="bsds",
    title="BSDS500: 500 photographs of 481x321, CBSD68 among them",
    licence=Bsds.licence,
    url="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
    size="70 MB: BSR_bsds500.tgz",
    layout=(
        "BSDS500/data/images/{train,val,test}/NUMBER.jpg, or folders ending in train, val, test, "
        "or (splits all, cbsd68, cbsd432) flat"
    ),
    make=_make,
    options={
        "split": Option("all", "which part; cbsd432 is all but CBSD68", choices=tuple(_EXPECTED))
    },
    expected=_EXPECTED,
)
