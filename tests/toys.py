"""Toy networks of every kind that a store must carry, and what tests ask of a store and a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from narrows.methods import SharedWeights

METHODS: dict[str, nw.Method] = {
    "laplace": nw.IBM(density=0.4, prune_every=2),
    "two-budgets": nw.IBM(new=0.1, reuse=0.3, prune_every=2),
    "price": nw.IBM(beta=1e-5, prune_every=2),
    "multiplicative": nw.IBM(density=0.4, estimator="variational", prune_every=2),
    "additive": nw.IBM(density=0.4, estimator="variational", gates="additive", prune_every=2),
    "magnitude": nw.Magnitude(new=0.05, reuse=0.8, prune_every=2),
    "magnitude-ib": nw.Magnitude(new=0.05, reuse=0.4, prune_every=2, score="ib", refine=True),
    "wsn": nw.WSN(density=0.3),
    "supsup": nw.SupSup(density=0.3),
    "hat": nw.HAT(gate_lr=0.1),
    "ewc": nw.EWC(strength=10.0),
    "wsn-warm-gradual": nw.WSN(density=0.3, warm_start=True, schedule="gradual"),
    "wsn-ib": nw.WSN(density=0.3, score="ib"),
    "packnet": nw.PackNet(keep=0.3),
    "packnet-ib": nw.PackNet(keep=0.3, score="ib"),
    "finetune": nw.Finetune(),
    "independent": nw.Independent(),
    "joint": nw.Joint(),
}


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _last_step(x: Any) -> Tensor:
    return x[0][:, -1]


def _mean_words(x: Tensor) -> Tensor:
    return x.mean(1)


def _chain(**modules: nn.Module) -> nn.Sequential:
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain


class Block(nn.Module):
    """A transformer block over (batch, 5, 8), its mean to the head."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attention(x, x, x, need_weights=False)[0])
        x = self.norm2(x + self.down(F.gelu(self.up(x))))
        return self.head(x.mean(1))


class Tied(nn.Module):
    """Words and the decoder of words share one matrix; the head reads the decoded words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 6)
        self.hidden = nn.Linear(6, 6)
        self.decoder = nn.Linear(6, 12)
        self.decoder.weight = self.words.weight
        self.head = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.decoder(torch.tanh(self.hidden(self.words(x).mean(1))))))


def _mlp() -> nn.Module:
    return _chain(one=nn.Linear(6, 16), relu=nn.ReLU(), two=nn.Linear(16, 16), tanh=nn.Tanh(), head=nn.Linear(16, 2))


def _conv(first: nn.Module, second: nn.Module) -> nn.Module:
    pooled = {"pool": nn.AdaptiveAvgPool2d(2), "flat": nn.Flatten(), "head": nn.Linear(32, 2)}
    return _chain(one=first, norm=nn.BatchNorm2d(8), relu=nn.ReLU(), two=second, **pooled)


def _lstm() -> nn.Module:
    return _chain(lstm=nn.LSTM(6, 8, batch_first=True), last=Lambda(_last_step), head=nn.Linear(8, 2))


def _embedding() -> nn.Module:
    words = {"words": nn.Embedding(12, 6, padding_idx=0), "mean": Lambda(_mean_words), "one": nn.Linear(6, 10)}
    return _chain(**words, relu=nn.ReLU(), head=nn.Linear(10, 2))


def _norm(norm: nn.Module) -> nn.Module:
    return _chain(one=nn.Linear(6, 12), norm=norm, relu=nn.ReLU(), two=nn.Linear(12, 8), head=nn.Linear(8, 2))


@dataclass(frozen=True)
class Toy:
    """A network, its data and where its head goes; without `width` it has no head and learns by MSE."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    width: int | None
    words: int = 0

    def make(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.build()

    @property
    def place(self) -> str | None:
        return None if self.width is None else "head"

    def head(self, classes: int) -> nn.Module | None:
        return None if self.width is None else nn.Linear(self.width, classes)

    def batch(self, examples: int, classes: int, seed: int = 1) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        if self.words:
            x = torch.randint(self.words, (examples, *self.shape), generator=generator)
        else:
            x = torch.randn(examples, *self.shape, generator=generator)
        if self.width is None:
            return x, torch.randn(examples, 2, generator=generator)
        return x, torch.arange(examples) % classes

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        return F.mse_loss if self.width is None else F.cross_entropy


TOYS: dict[str, Toy] = {
    "mlp": Toy(_mlp, (6,), 16),
    "grouped": Toy(lambda: _conv(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=4)), (4, 6, 6), 32),
    "depthwise": Toy(lambda: _conv(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8)), (3, 6, 6), 32),
    "batchnorm": Toy(lambda: _norm(nn.BatchNorm1d(12)), (6,), 8),
    "layernorm": Toy(lambda: _norm(nn.LayerNorm(12)), (6,), 8),
    "attention": Toy(Block, (5, 8), 8),
    "lstm": Toy(_lstm, (4, 6), 8),
    "embedding": Toy(_embedding, (5,), 10, words=12),
    "tied": Toy(Tied, (5,), 12, words=12),
    "regression": Toy(lambda: _chain(one=nn.Linear(6, 10), tanh=nn.Tanh(), two=nn.Linear(10, 2)), (6,), None),
}
MLP = TOYS["mlp"]


def learn(store: nw.TaskStore, name: str, method: nw.Method, toy: Toy = MLP, classes: int = 3, epochs: int = 6) -> Any:
    """One task learned and committed, by `fit`; the task, and in `task.learner` what it let go of."""
    with store.begin(name, method, head=toy.head(classes)) as task:
        batches = [toy.batch(8, classes, seed) for seed in (1, 2)]
        task.fit(batches, nw.Training(epochs, loss=toy.loss, examples=16, batch_size=8))
        learner = task._learner
        task.commit()
    task.learner = learner
    return task


def state(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor of the model, copied."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dicts are the same to the last bit, the sign of 0 included."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and torch.equal(_bits(one[name]), _bits(other[name]))
        for name in one
    )


def _bits(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


@torch.no_grad()
def logits(model: nn.Module, x: Tensor) -> Tensor:
    return model.eval()(x)


def files(path: Path) -> dict[str, str]:
    """SHA-256 of every file under `path`, the lock's own aside."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".lock")
    }


def hooked(model: nn.Module) -> bool:
    """Whether anything hangs on a module: forward or backward hooks, parametrizations."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(
        hasattr(module, "parametrizations") or any(getattr(module, kind) for kind in kinds)
        for module in model.modules()
    ) or any(param._backward_hooks for param in model.parameters())


def violations(task: nw.Task) -> list[str]:
    """How the task's parameters break isolation at this moment: a reused weight moved, a dropped one not +0."""
    found = []
    learner = task._learner
    assert learner is not None
    shared = learner.shared
    rows = zip(shared.names, shared.params, learner.masks, learner.claims, shared.frozen, shared.values, strict=True)
    for name, param, mask, claim, frozen, value in rows:
        now, reused = param.detach(), mask & ~claim
        if bool((claim & ~mask).any()) or bool((reused & ~frozen).any()):
            found.append(f"{name}: claims and reuse do not make up the mask")
        if not torch.equal(now[reused], value[reused]):
            found.append(f"{name}: a frozen weight moved")
        dropped = now[~mask]
        if dropped.any() or torch.signbit(dropped).any():
            found.append(f"{name}: a dropped weight is not +0")
    return found


def weights(shapes: dict[str, tuple[int, ...]], frozen: float = 0.0, dtype: torch.dtype = torch.float32) -> Any:
    """Shared weights by themselves, without a store; of each parameter, the first `frozen` part is frozen."""
    masks = [torch.arange(torch.Size(shape).numel()).reshape(shape) for shape in shapes.values()]
    masks = [position < frozen * position.numel() for position in masks]
    params = [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes.values()]
    values = [torch.where(mask, param.detach(), 0.0) for mask, param in zip(masks, params, strict=True)]
    return SharedWeights.dense(tuple(shapes), params, masks, values)
