"""A training run: a folder that holds all of it, and in which the same command goes on.

::

    runs/adfnet/
        recipe.toml           the training recipe, complete
        data.json             what it is trained and validated on
        best.safetensors      weights of the best validation, with their card
        last.safetensors      weights of the last validation
        resume.pt             all that is needed to go on
        log.jsonl             a line every 10 iterations, and one a validation
        curves.png            loss, learning rate and PSNR
        samples/              held-out pictures: noisy, restored, clean
"""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

import denoisers
from denoisers.base import Denoiser, ModelEntry, Options
from denoisers.data import Dataset, Loader, Mixture, open_data, open_mosaics
from denoisers.data.corpora import CorpusData
from denoisers.data.grey import GreyData
from denoisers.inference.weights import open_weights, weights_file
from denoisers.storage import sha256
from denoisers.training import folder as folders
from denoisers.training import graphs
from denoisers.training.loop import Loop, Progress, Result
from denoisers.training.mosaics import HeldOutMosaics
from denoisers.training.precision import settled
from denoisers.training.ranks import chosen, joined
from denoisers.training.recipe import Guides, Training, in_phases
from denoisers.training.state import State
from denoisers.training.validation import HeldOut
from noisegen.errors import CorpusMismatchError, InputError, RecipeError
from pipelines.pairs import SRGB_STAGES

Data = Sequence[tuple[str, float]]
"""Paths and weights."""


@dataclass(frozen=True)
class Run:
    """What is to be done, and where.

    Attributes
    ----------
    recipe
        How the network is trained.
    data
        What on.
    folder
        Where everything is written.
    start
        Run or file of weights that it starts from; none: first weights, drawn.
    val
        What it is validated on; none: scenes held out of the data.
    device
        ``auto``, ``cpu`` or ``cuda``.
    workers
        How many read ahead.
    processes
        Whether these are processes; if not, they are threads.
    compiled
        Whether the network goes through ``torch.compile``.
    graphed
        Whether iterations are recorded once as CUDA graphs and replayed.
    overwrite
        Begin anew where another run was; what it wrote is removed.
    told
        Gets the progress after each iteration.
    """

    recipe: Training
    data: Data
    folder: Path
    start: str | None = None
    val: str | None = None
    device: str = "auto"
    workers: int = 2
    processes: bool = False
    compiled: bool = False
    graphed: bool = False
    overwrite: bool = False
    told: Callable[[Progress], None] = field(default=lambda progress: None)

    def train(self) -> Result:
        """Train to the end, from where the folder's run stopped if it did.

        Raises
        ------
        InputError
            If data, network and recipe do not go together, or the folder holds another run, or one
            that another process trains.
        DivergedError
            If a loss or gradient is not finite; it names the batch.
        """
        recipe = in_phases(settled(self.recipe, chosen(self.device)))
        return replace(self, recipe=recipe)._train()

    def _train(self) -> Result:
        recipe = self.recipe
        with joined(self.device) as (ranks, device), ExitStack() as stack:
            page = denoisers.entry(recipe.model)
            if recipe.vgg is not None and not page.perceives:
                raise RecipeError(f"vgg: the loss of {page.name} does not look through one")
            if recipe.guides != Guides() and "guide" not in page.inputs:
                raise RecipeError(f"guides: {page.name} takes none; leave it away")
            mixture, held_out = self._open(page)
            loader = Loader(
                mixture,
                patch=recipe.patch,
                batch=recipe.batch,
                seed=recipe.seed,
                augment=recipe.augment,
                rank=ranks.rank,
                ranks=ranks.ranks,
            )
            state = State.begin(recipe, device)
            if self.graphed:
                changes = self.compiled or bool(recipe.phases)
                graphs.check(state.model, device, ranks, recipe.precision, changes=changes)
            if recipe.patch % state.model.multiple:
                raise InputError(
                    f"{recipe.model} takes patches of multiples of {state.model.multiple} pixels, "
                    f"not {recipe.patch}; give --patch"
                )
            state.model.learn_from(self._teacher(device))
            if self.start is not None:
                state.start(*open_weights(self.start), recipe, self.start)
            if ranks.first:
                stack.enter_context(folders.held(self.folder))
                folders.prepare(self.folder, self._written(mixture), overwrite=self.overwrite)
            ranks.wait()
            if (self.folder / "resume.pt").exists():
                state.load(self.folder / "resume.pt")
            loop = Loop(
                recipe=recipe,
                page=page,
                folder=self.folder,
                loader=loader,
                held_out=held_out,
                data={data.where: data.identity for data in mixture.datasets},
                ranks=ranks,
                device=device,
                workers=self.workers,
                processes=self.processes,
                compiled=self.compiled,
                graphed=self.graphed,
                told=self.told,
            )
            return loop.run(state)

    def _teacher(self, device: torch.device) -> Denoiser | None:
        if self.recipe.teacher is None:
            return None
        network, _ = open_weights(self.recipe.teacher)
        return network.to(device)

    def _open(self, page: ModelEntry) -> tuple[Mixture, HeldOut | None]:
        recipe = self.recipe
        if page.develop is not None:
            return self._open_mosaics(page)
        if recipe.mosaics is not None:
            raise RecipeError(f"mosaics: {page.name} is trained on pictures")
        options = page.check(recipe.options)
        needed = dict.fromkeys(("clean", "noisy", *page.inputs))
        if recipe.awgn is not None:
            del needed["noisy"]
        names = tuple(needed)
        opened = [
            _open(path, page, options, names, renoise=recipe.renoise) for path, _ in self.data
        ]
        mixture = Mixture(opened, [weight for _, weight in self.data])
        if self.val is not None:
            held = Mixture([_open(self.val, page, options, names, renoise=False)], (1,))
            return mixture, HeldOut(held, recipe, page.inputs)
        mixture, rest = mixture.held_out()
        return mixture, HeldOut(rest, recipe, page.inputs) if rest else None

    def _open_mosaics(self, page: ModelEntry) -> tuple[Mixture, HeldOut | None]:
        recipe, stored = self.recipe, not self.recipe.renoise
        if recipe.awgn is not None or recipe.mixup.alpha:
            raise RecipeError(f"awgn, mixup: {page.name} is trained on mosaics, with neither")
        opened = [open_mosaics(path, noisy=stored) for path, _ in self.data]
        mixture = Mixture(opened, [weight for _, weight in self.data])
        if self.val is not None:
            held = Mixture([open_mosaics(self.val, noisy=stored)], (1,))
            return mixture, HeldOutMosaics(held, recipe, page.inputs, page)
        mixture, rest = mixture.held_out()
        return mixture, HeldOutMosaics(rest, recipe, page.inputs, page) if rest else None

    def _written(self, mixture: Mixture) -> dict[str, str]:
        """Return the files that say what a run is."""
        data: dict[str, Any] = {
            "data": [
                {"path": d.where, "weight": weight, "samples": len(d), "identity": d.identity}
                for d, weight in zip(mixture.datasets, mixture.weights, strict=True)
            ],
            "val": self.val or "held out by scene",
        }
        if self.start is not None:
            data["start"] = {"path": self.start, "sha256": sha256(weights_file(self.start))}
        if self.recipe.vgg is not None:
            data["vgg"] = {"sha256": sha256(Path(self.recipe.vgg))}
        if self.recipe.teacher is not None:
            data["teacher"] = {"sha256": sha256(weights_file(self.recipe.teacher))}
        return {
            "recipe.toml": self.recipe.to_toml(),
            "data.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n",
        }


def _open(
    path: str, page: ModelEntry, options: Options, names: tuple[str, ...], *, renoise: bool
) -> Dataset:
    channels = getattr(options, "channels", 3)
    data = open_data(path, names, renoise=renoise)
    if isinstance(data, CorpusData) and (stage := data.corpus.recipe.stage) not in SRGB_STAGES:
        raise CorpusMismatchError(
            f"{path} is a corpus of stage '{stage}', {page.name} is trained on sRGB pictures; make "
            "one with --stage srgb or both"
        )
    if channels == 1 and names == ("clean",):
        return GreyData(data)
    guides = page.guide_channels(options)
    if guides != data.guide_channels and guides:
        raise InputError(
            f"{path}: its guide has {data.guide_channels} channels, {page.name} with "
            f"guide_channels = {guides} does not take it; give --set "
            f"options.guide_channels={data.guide_channels}, or another corpus"
        )
    if channels != data.channels:
        raise InputError(
            f"{path}: pictures of {data.channels} channels, {page.name} with channels = {channels} "
            "does not take them"
            + (
                "; a grey network is trained on clean pictures, with --awgn"
                if channels == 1
                else ""
            )
        )
    return data
