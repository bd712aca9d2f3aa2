"""Of the section on what is kept: the weights of each layer as a picture, as many and as fine as the page can bear."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from narrows.analysis.states import STATES, LayerStates, states_of
from narrows.analysis.walk import WalkedTask, walk
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
    """A layer of a task, and the picture of its weights."""

    states: LayerStates
    drawn: Drawn

    @property
    def weights_per_pixel(self) -> float:
        """1 where each weight has a pixel."""
        return self.states.codes.numel() / (self.drawn.height * self.drawn.width)


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
        images = tuple(_image(layer, say) for layer in layers)
        return [Pictures(*say.told("kept.pictures")[:2], "mask", sources, images, legend)]


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
        return {step.name: tuple(_layers(step, layers, budget)) for step in walk(reader) if step.name in tasks}

    return WeightPictures(reader.steadily(read), len(sizes) - len(layers))


def _layers(step: WalkedTask, layers: set[str], budget: PixelBudget) -> Iterator[LayerDrawn]:
    for states in states_of(step):
        if states.layer in layers:
            yield LayerDrawn(states, draw_states(states.matrix, budget, HEIGHT, WIDTH))


def _image(layer: LayerDrawn, say: Texts) -> Image:
    states, drawn = layer.states, layer.drawn
    times = zoom(drawn.height, drawn.width)
    counts = dict(zip(STATES, states.counts, strict=True))
    told = say("kept.comma").join(
        f"{say(f'kept.state.{state}')} {say.number(counts[state])}" for state in STATE_COLOURS if counts[state]
    )
    each = layer.weights_per_pixel
    scale = say("kept.pixel_one") if each <= 1 else say("kept.pixel", weights=say.number(each, 2))
    shape = " x ".join(str(side) for side in states.codes.shape)
    return Image(
        drawn.png,
        say("kept.picture_alt", layer=states.layer, task=states.task, told=told),
        drawn.width * times,
        drawn.height * times,
        say("kept.picture_caption", layer=states.layer, shape=shape, told=told, scale=scale),
    )
