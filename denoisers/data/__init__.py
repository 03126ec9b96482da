"""What networks are trained on: corpora, folders of pairs and of clean pictures, in batches.

Which samples a batch holds, where they are cut and how they are turned is a function of the seed
and the batch's number alone: not of the number of workers, nor of what was read before.

>>> from denoisers.data import Loader, Mixture, open_data
>>> data = Mixture([open_data("a.zarr"), open_data("b.zarr")], (1, 2))  # doctest: +SKIP
>>> loader = Loader(data, patch=128, batch=16, seed=0)  # doctest: +SKIP
>>> batch = loader.batch(1000)  # doctest: +SKIP
"""

from denoisers.data.dataset import Cut, Dataset
from denoisers.data.loader import Batch, Loader
from denoisers.data.mixture import Mixture
from denoisers.data.open import open_data, open_mosaics

__all__ = ["Batch", "Cut", "Dataset", "Loader", "Mixture", "open_data", "open_mosaics"]
