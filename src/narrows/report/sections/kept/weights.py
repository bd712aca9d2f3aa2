"""Of the section on what is kept: the weights of each layer as a picture, as many and as fine as the page can bear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from narrows.analysis.states import STATES, Standing, standings
from narrows.report.blocks import Block, Citation, Image, Pictures
from narrows.report.facts import Facts
from narrows.report.pixels import STATE_COLOURS, Drawn, PixelBudget, draw_states, zoom
from narrows.report.texts import Texts
from narrows.store.reader import StoreReader

LEAST_BYTES: Final = 700
"""A picture that may take less shows little: rather fewer layers are drawn."""
MOST_LAYERS: Final = 16
HEIGHT: Final = 512
WIDTH: Final = 768
"""Pixels of a picture, at most."""


@dataclass(frozen=True)
class LayerDrawn:
    """A layer of a task: its weights in each of `STATES`, and the picture of them."""

    layer: str
    shape: tuple[int, ...]
    counts: tuple[int, ...]
    drawn: Drawn

    @property
    def weights_per_pixel(self) -> float:
        """1 where each weight has a pixel."""
        return math.prod(self.shape) / (self.drawn.height * self.drawn.width)


@dataclass(frozen=True)
class WeightPictures:
    """Of every task that was asked for. `layers_left_out`: layers without a picture, for want of room."""

    tasks: Mapping[str, tuple[LayerDrawn, ...]]
    layers_left_out: int

    @property
    def pooled(self) -> int:
        """Pictures in which a pixel stands for several weights."""
        return sum(layer.weights_per_pixel > 1 for layers in self.tasks.values() for layer in layers)

    def blocks(self, task: str, facts: Facts, say: Texts) -> list[Block]:
        """Of one task; nothing where it was not asked for."""
        layers = self.tasks.get(task, ())
        if not layers:
            return []
        legend = tuple((value, say(f"kept.state.{state}")) for state, value in STATE_COLOURS.items())
        directory = facts.records[facts.names.index(task)].directory
        sources = (Citation(f"{facts.store_folder}tasks/{directory}/mask.bin"),)
        images = tuple(_image(layer, task, say) for layer in layers)
        return [Pictures(say("kept.pictures.title"), say("kept.pictures.explain"), "mask", sources, images, legend)]


def draw_weights(reader: StoreReader, tasks: Sequence[str], most_bytes: int) -> WeightPictures:
    """Pictures of these tasks, in `most_bytes` of PNG all together; one pass over the store.

    Raises:
        DamagedStoreError: a file is damaged.
    """
    sizes = {spec.name: math.prod(spec.shape) for spec in reader.shared}
    most = min(MOST_LAYERS, max(1, most_bytes // (LEAST_BYTES * max(1, len(tasks)))))
    layers = set(sorted(sizes, key=lambda name: -sizes[name])[:most])

    def read(reader: StoreReader) -> dict[str, tuple[LayerDrawn, ...]]:
        budget = PixelBudget(most_bytes, len(layers) * len(tasks))
        return {
            standing.record.name: tuple(_layers(standing, layers, budget))
            for standing in standings(reader)
            if standing.record.name in tasks
        }

    return WeightPictures(reader.steadily(read), len(sizes) - len(layers))


def _layers(standing: Standing, layers: set[str], budget: PixelBudget) -> list[LayerDrawn]:
    found = []
    for name, codes in standing.states().items():
        if name in layers:
            matrix = codes.reshape(codes.shape[0], -1).numpy()
            counts = tuple(int((matrix == code).sum()) for code in range(len(STATES)))
            found.append(LayerDrawn(name, tuple(codes.shape), counts, draw_states(matrix, budget, HEIGHT, WIDTH)))
    return found


def _image(layer: LayerDrawn, task: str, say: Texts) -> Image:
    drawn, times = layer.drawn, zoom(layer.drawn.height, layer.drawn.width)
    counts = dict(zip(STATES, layer.counts, strict=True))
    told = say("kept.comma").join(
        f"{say(f'kept.state.{state}')} {say.number(counts[state])}" for state in STATE_COLOURS if counts[state]
    )
    each = layer.weights_per_pixel
    scale = say("kept.pixel_one") if each <= 1 else say("kept.pixel", weights=say.number(each, 2))
    shape = " x ".join(str(side) for side in layer.shape)
    return Image(
        drawn.png,
        say("kept.picture_alt", layer=layer.layer, task=task, told=told),
        drawn.width * times,
        drawn.height * times,
        say("kept.picture_caption", layer=layer.layer, shape=shape, told=told, scale=scale),
    )
