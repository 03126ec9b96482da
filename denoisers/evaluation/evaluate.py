"""A network on a test protocol."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

import denoisers
from catalogs.sources.roots import Root
from denoisers import protocols
from denoisers.card import Card
from denoisers.evaluation import looks, overlap
from denoisers.evaluation.guides import Given, given
from denoisers.evaluation.looks import Looks
from denoisers.evaluation.overlap import Overlap, TrainingData
from denoisers.evaluation.result import Result, Score
from denoisers.inference.chop import Chop
from denoisers.inference.grid import Grid
from denoisers.inference.raws import RawRestorer
from denoisers.inference.restorer import Precision, Restorer
from denoisers.inference.weights import open_weights, weights_file
from denoisers.models.dualdn import Developing
from denoisers.protocols.base import Asked, Case, Cases, Floats, Picture, Protocol, similarity
from denoisers.training.ranks import chosen
from noisegen.errors import InputError, MissingDataError, RunError
from noisegen.metrics import psnr


class OverlapError(RunError):
    """Test pictures that were trained on, where that is not allowed."""


@dataclass(frozen=True)
class Evaluation:
    """What is to be done.

    Attributes
    ----------
    protocol, cases
        The test and its pictures.
    restorer, card, weights
        The network and its file.
    trained
        What it was trained on.
    settings
        What was chosen, as it is written down.
    bgr
        Whether the network gets B, G, R.
    guide
        What it is given for a guide.
    """

    protocol: Protocol
    cases: Cases
    restorer: Restorer | RawRestorer
    card: Card
    weights: Path
    trained: TrainingData
    settings: Mapping[str, Any]
    bgr: bool = False
    guide: Given = "own"

    @classmethod
    def prepare(
        cls,
        model: str,
        on: str,
        asked: Asked,
        *,
        device: str = "auto",
        tile: int | None = None,
        ensemble: bool = False,
        precision: Precision = "float32",
        bgr: bool = False,
        guide: Given = "own",
        data: tuple[str, ...] = (),
    ) -> Self:
        """Find the pictures and open the network.

        Parameters
        ----------
        model
            As in :func:`denoisers.inference.weights.open_weights`.
        on
            Name of the protocol.
        asked
            Root, noise and split of the test.
        device
            ``auto``, ``cpu`` or ``cuda``.
        tile
            Side of the tiles, 0 whole; none: as the protocol says.
        ensemble, precision
            As in :class:`Restorer`.
        bgr
            Give the network B, G, R, as some published tests do.
        guide
            What it is given for a guide.
        data
            Training data; none: what the card names.

        Raises
        ------
        InputError
            If there is no such protocol, picture or network, or they do not go together.
        """
        protocol = protocols.entry(on)
        protocol.check(asked)
        for path in data:
            if not Root(path).exists():
                raise MissingDataError(
                    f"--data {path}: no folder or corpus is there; check the path"
                )
        if bgr and not protocol.published_bgr:
            raise InputError(f"{on} gives networks R, G, B: leave --bgr away")
        where = chosen(device)
        network, card = open_weights(model)
        channels = _check(card, protocol)
        cases = protocol.open(asked)
        guides = _check_guide(card, protocol, cases)
        if guide != "own" and not guides:
            raise InputError(f"{card.model} takes no guide: leave --guide away")
        way = protocol.ensemble_tile if ensemble else protocol.tile
        restorer: Restorer | RawRestorer
        if isinstance(network, Developing):
            if ensemble:
                raise InputError(
                    "--self-ensemble turns pictures; a turned mosaic is of another phase"
                )
            restorer = RawRestorer(network.to(where), tile, precision, device=where)
        else:
            restorer = Restorer(
                network.to(where),
                channels=channels,
                guide_channels=guides,
                ensemble=ensemble,
                tile=way if tile is None else tile,
                precision=precision,
                device=where,
            )
        weights = weights_file(model)
        trained = overlap.recorded(weights, card.data)
        if data:
            trained = TrainingData(dict.fromkeys(data, ""), trained.held_out)
        settings = {
            "root": cases.where,
            "sigma": asked.sigma,
            "split": asked.split,
            **({"demosaic": asked.demosaic or "ahd"} if protocol.mosaics else {}),
            "tile": _told(restorer.tile),
            "self_ensemble": ensemble,
            "channel_order": "B, G, R" if bgr else "R, G, B" if channels == 3 else "one",
            "device": str(where),
            "precision": precision,
            **({"guide": guide} if guides else {}),
        }
        return cls(protocol, cases, restorer, card, weights, trained, settings, bgr, guide)

    def check_out(self, out: Path | None) -> None:
        """Refuse to make a submission without a folder for it.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.protocol.submission is not None and out is None:
            raise InputError(f"{self.protocol.name} writes files for a server: give --out DIR")

    def look(self, step: Callable[[], None] = lambda: None, *, strict: bool = False) -> Overlap:
        """Look for test pictures that were trained on.

        Parameters
        ----------
        step
            Called after each picture.
        strict
            Whether finding any, or not being able to tell, is an error.

        Raises
        ------
        OverlapError
            In strict mode.
        """
        found = overlap.look(self.cases, self.trained, step)
        if strict and (lines := found.lines(len(self.cases))):
            raise OverlapError("; ".join(lines))
        return found

    def run(
        self, found: Overlap, out: Path | None = None, step: Callable[[], None] = lambda: None
    ) -> tuple[Result, Looks]:
        """Restore all pictures.

        Parameters
        ----------
        found
            Of :meth:`look`, for the result.
        out
            Folder of a submission's files; only used where the protocol has one.
        step
            Called after each picture.

        Returns
        -------
        result, looks
            The figures, and the pictures that are shown.

        Raises
        ------
        InputError
            If a submission is to be written and no folder is named.
        RunError
            If a network's result is not finite.
        UnreadableFileError
            If a picture is damaged.
        StorageError
            If a file cannot be written.
        """
        self.check_out(out)
        submission = None
        if self.protocol.submission is not None and out is not None:
            submission = self.protocol.submission(self.cases, out)
        shown, scores = Looks(len(self.cases)), []
        seconds = pixels = 0.0
        for number in range(len(self.cases)):
            case = self.cases.load(number)
            began = time.perf_counter()
            restored, mosaic = self._restored(case, number)
            seconds += time.perf_counter() - began
            pixels += restored.shape[0] * restored.shape[1]
            if submission is not None and mosaic is not None:
                submission.add_mosaic(number, mosaic)
            if submission is not None:
                submission.add(number, restored)
            if case.clean is not None:
                scores.append(self._score(number, case, restored, shown))
            step()
        files = submission.finish() if submission else ()
        result = Result(
            protocol=self.protocol,
            settings=dict(self.settings),
            model=self._model(),
            scores=tuple(scores),
            pictures=len(self.cases),
            overlap=found,
            notes=self.cases.notes,
            seconds=seconds,
            megapixels=pixels / 1e6,
            files=tuple(str(path) for path in files),
        )
        return result, shown

    def _restored(self, case: Case, number: int) -> tuple[Floats, Floats | None]:
        """Return a picture, and its mosaic if there is one."""
        mosaic = None
        if isinstance(self.restorer, RawRestorer):
            assert case.frame is not None  # protocol and network go together
            planes, picture = self.restorer(case.frame, case.reference)
            restored, mosaic = case.frame.own(picture), case.frame.own(planes)[..., 0]
        else:
            guide = None
            if self.restorer.guide_channels:
                guide = given(self.cases, number, case, self.guide)
            inputs = [p for p in (case.noisy, guide) if p is not None]
            restore = self.restorer if self.protocol.clips else self.restorer.unclipped
            restored = restore(*(p[..., ::-1] if self.bgr else p for p in inputs))
        if not np.isfinite(restored).all():
            raise RunError(
                f"{self.weights}: its result for {self.cases.names[number]} has values that are "
                "not finite; the weights are of no use, or --precision float32 is needed"
            )
        return np.ascontiguousarray(restored[..., ::-1]) if self.bgr else restored, mosaic

    def _score(self, number: int, case: Case, restored: Floats, shown: Looks) -> Score:
        noisy, clean = (floats(p) for p in (case.noisy, case.clean) if p is not None)
        if self.protocol.clips:
            restored = restored.clip(0, 1)
        if self.protocol.peak == "clean":
            noisy, restored, clean = (p / clean.max() for p in (noisy, restored, clean))
        if self.protocol.scores_input:
            first, second = self.protocol.measures[:2]
            values = {"noisy_psnr": first.of(noisy, clean), "noisy_ssim": second.of(noisy, clean)}
        else:
            values = {"noisy_psnr": psnr(noisy, clean), "noisy_ssim": similarity(noisy, clean)}
        values |= {m.key: m.of(restored, clean) for m in self.protocol.measures}
        name = self.cases.names[number]
        if shown.wants(number, values["psnr"] - values["noisy_psnr"]):
            pictures = (noisy, restored, clean)
            shown.add(looks.of(number, name, pictures, values["psnr"], values["noisy_psnr"]))
        height, width, _ = clean.shape
        return Score(name, self.cases.group(number), height, width, values)

    def _model(self) -> dict[str, Any]:
        return {
            "file": str(self.weights),
            "sha256": _sha256(self.weights.read_bytes()),
            "card_sha256": _sha256(self.card.to_json().encode()),
            "card": self.card.model_dump(mode="json"),
        }


def floats(picture: Picture) -> Floats:
    """Return a picture as float32 where 0 is black and 1 white."""
    white = np.float32(np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1)
    values: Floats = picture.astype(np.float32) / white
    return values


def _check(card: Card, protocol: Protocol) -> int:
    """Return the channels of a network, or refuse one that does not go with the protocol."""
    page = denoisers.entry(card.model)
    inputs = page.inputs
    if protocol.mosaics:
        if page.develop is None:
            raise InputError(
                f"{protocol.name} is a test of networks of mosaics, such as dualdn; {card.model} "
                "takes pictures"
            )
        return protocol.channels
    if page.develop is not None:
        raise InputError(
            f"{card.model} takes mosaics, {protocol.name} has noisy pictures alone; test it with "
            "--on fivek-raw or --on dnd-raw"
        )
    if inputs not in (("noisy",), ("noisy", "guide")):
        raise InputError(
            f"{card.model} takes {', '.join(inputs)}; {protocol.name} has noisy pictures alone"
        )
    channels = int(card.options.get("channels", 3))
    if channels != protocol.channels:
        kind, other = {1: ("grey", "awgn-gray"), 3: ("colour", "awgn")}, ("other", "awgn")
        raise InputError(
            f"{card.model} with channels = {channels} takes {kind.get(channels, other)[0]} "
            f"pictures, {protocol.name} is in {kind[protocol.channels][0]}; give a network of that "
            f"kind, or test this one with --on {kind.get(channels, other)[1]}"
        )
    return channels


def _check_guide(card: Card, protocol: Protocol, cases: Cases) -> int:
    """Return the channels of the guide of a network; refuse pictures that have not such a one."""
    page = denoisers.entry(card.model)
    channels = page.guide_channels(page.check(card.options))
    if channels and channels != cases.guide_channels:
        has = f"guides of {cases.guide_channels} channels" if cases.guide_channels else "no guides"
        raise InputError(
            f"{card.model} takes a guide of {channels} channels, {cases.where} has {has}; test it "
            "on a corpus with such guides (--on corpus, noisegen synthesize --guide)"
        )
    return channels


def _told(tile: int | Chop | Grid | None) -> str | int:
    if isinstance(tile, Grid):
        return f"{tile.width}x{tile.height}, overlapping by {tile.overlap_x} and {tile.overlap_y}"
    if isinstance(tile, Chop):
        return f"four tiles as published, cut again from {tile.min_size} pixels"
    return tile or "whole"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
