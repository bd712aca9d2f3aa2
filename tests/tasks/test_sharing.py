"""The rule of what tasks share: what multiplies; said where it costs, changed by name or replaced."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

import narrows as nw
from narrows.errors import ModelMismatchError
from narrows.store import StoreDirectory
from narrows.subnet import TensorSpec
from narrows.tasks.heads import Head
from narrows.tasks.partition import named_tensors
from narrows.tasks.sharing import shared_specs
from toys import MLP, learn, logits, same, state

METHOD = nw.IBM(density=0.3, prune_every=2)


def create(tmp_path: Path, model: nn.Module, **options: Any) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", model, **options)


def names(store: nw.TaskStore) -> list[str]:
    return [spec.name for spec in store.shared]


class Own(nn.Linear):
    """A layer derived from one that is known, with a matrix besides."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.low_rank = nn.Parameter(torch.randn(4, 4))


class Conv1D(nn.Module):
    """A linear layer that is no `nn.Linear`, its weight the other way round, as language models have it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


SHARED = {
    "linear": (nn.Linear(4, 4), {"weight"}),
    "derived": (Own(), {"weight"}),
    "bilinear": (nn.Bilinear(2, 3, 4), {"weight"}),
    "convolution": (nn.Conv2d(4, 4, 3), {"weight"}),
    "transposed": (nn.ConvTranspose1d(4, 4, 3), {"weight"}),
    "embedding": (nn.Embedding(5, 4), {"weight"}),
    "bag": (nn.EmbeddingBag(5, 4), {"weight"}),
    "normalised embedding": (nn.Embedding(5, 4, max_norm=1.0), set()),
    "rnn": (nn.RNN(4, 3), {"weight_ih_l0", "weight_hh_l0"}),
    "gru": (nn.GRU(4, 3, num_layers=2), {f"weight_{kind}_l{n}" for kind in ("ih", "hh") for n in (0, 1)}),
    "lstm": (
        nn.LSTM(4, 3, proj_size=2, bidirectional=True),
        {f"weight_{kind}_l0{way}" for kind in ("ih", "hh", "hr") for way in ("", "_reverse")},
    ),
    "cell": (nn.LSTMCell(4, 3), {"weight_ih", "weight_hh"}),
    "attention": (nn.MultiheadAttention(4, 2, add_bias_kv=True), {"in_proj_weight", "out_proj.weight"}),
    "attention of three widths": (
        nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
        {"q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"},
    ),
    "norm": (nn.LayerNorm((3, 4)), set()),
    "weight norm": (parametrizations.weight_norm(nn.Linear(4, 4)), set()),
    "orthogonal": (parametrizations.orthogonal(nn.Linear(4, 4)), set()),
    "recurrent weight norm": (parametrizations.weight_norm(nn.LSTM(4, 3), "weight_hh_l0"), {"weight_ih_l0"}),
    "spectral norm by a hook": (nn.utils.spectral_norm(nn.Linear(4, 4)), set()),
    "a matrix of its own": (Conv1D(4, 4), set()),
}


@pytest.mark.parametrize("kind", SHARED)
def test_known_layers_share_what_multiplies_and_nothing_else(kind: str) -> None:
    layer, expected = SHARED[kind]
    assert {spec.name for spec in shared_specs(layer)} == expected


def blocks() -> nn.Module:
    return nn.Sequential(*(nn.ModuleDict({"own": Conv1D(4, 4), "usual": nn.Linear(4, 4)}) for _ in range(3)))


def test_what_is_private_unasked_and_costs_much_is_named_with_its_share_and_the_way(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"44\.4% of the weights.*: \*\.own\.weight \(44\.4%\)") as told:
        store = create(tmp_path, blocks())
    assert [str(warning.message).partition(". ")[2] for warning in told] == [
        "Where they multiply what a layer is given, share them: shared=['*.own.weight']. To leave it so, say it: "
        "private=['*.own.weight']."
    ]
    assert names(store) == ["0.usual.weight", "1.usual.weight", "2.usual.weight"]
    # As it says, so it can be done; warnings are errors.
    assert len(nw.TaskStore.create(tmp_path / "shared", blocks(), shared=["*.own.weight"]).shared) == 6
    assert len(nw.TaskStore.create(tmp_path / "private", blocks(), private=["*.own.weight"]).shared) == 3


def test_a_pattern_that_would_reach_further_is_not_proposed(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"private=\['1\.weight'\]"):
        create(tmp_path, nn.Sequential(nn.Linear(4, 4), Conv1D(4, 4), nn.Linear(4, 4)))


def test_what_parametrizations_compute_from_is_not_proposed_to_be_shared(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.warns(UserWarning, match=r"1\.parametrizations\.weight\.original1") as told:
        create(tmp_path, model)
    assert "shared=" not in str(told[0].message)


def test_what_costs_little_is_private_without_a_word(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 16))
            self.layer = nn.Linear(16, 200)

    assert names(create(tmp_path, Tokens())) == ["layer.weight"]


def test_the_rule_may_be_replaced_and_private_has_the_last_word(tmp_path: Path) -> None:
    def rule(module: nn.Module, name: str) -> bool:
        return nw.multiplies(module, name) or isinstance(module, Conv1D)

    assert len(nw.TaskStore.create(tmp_path / "both", blocks(), shared=rule).shared) == 6
    store = create(tmp_path, blocks(), shared=lambda module, _: isinstance(module, Conv1D), private=["1"])
    assert names(store) == ["0.own.weight", "2.own.weight"]
    assert names(nw.TaskStore.create(tmp_path / "last", blocks(), shared=["*.own"], private=["*.own", "2"])) == [
        "0.usual.weight",
        "1.usual.weight",
    ]


def test_a_model_of_nothing_that_multiplies_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match=r"no parameter to share.*weight \(100\.0%\).*shared=\['weight'\]"):
        create(tmp_path, Conv1D(4, 4))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"private": ["one", "tow"]}, r"private=\['tow'\] names nothing.*did you mean 'two'"),
        ({"private": ["zzz*"]}, r"names nothing.*there are: one, two, head, one\.weight"),
        ({"shared": ["hed.*"]}, r"shared=\['hed\.\*'\] names nothing.*did you mean 'head'"),
        ({"shared": ["one.bias"]}, r"shared=\['one\.bias'\] names nothing: no trainable parameter of two or more"),
        ({"private": ["words"]}, "'words.weight' is the same tensor as 'one.weight' and goes by that name"),
    ],
)
def test_a_pattern_that_names_nothing_is_an_error_with_the_nearest_name(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    model = MLP.make()
    model.words = nn.Embedding(16, 6)
    model.words.weight = model.one.weight
    with pytest.raises(ModelMismatchError, match=said):
        create(tmp_path, model, **options)
    assert not (tmp_path / "store").exists()


def test_the_first_head_takes_its_place_out_and_leaves_the_rest_as_it_was_said(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 16), Conv1D(16, 16), nn.Linear(16, 2))
    store = create(tmp_path, model, shared=["1"])
    for name in ("a", "b"):
        with store.begin(name, METHOD, head=Head("2", nn.Linear(16, 3))) as task:
            task.fit([MLP.batch(8, 3)], nw.Training(6), progress=False)
            task.commit()
        assert same(state(store.load(name)), state(task.model))
    assert names(store) == ["0.weight", "1.weight"]


def test_a_store_keeps_what_it_was_made_with(tmp_path: Path) -> None:
    """Stores made before there was the rule share every matrix."""
    model = nn.Sequential(nn.Linear(6, 16), Conv1D(16, 16), nn.Linear(16, 2))
    base = named_tensors(model)
    everything = [TensorSpec.of(name, tensor) for name, tensor in base.items() if tensor.dim() > 1]
    StoreDirectory.create(tmp_path / "store", {name: t.detach() for name, t in base.items()}, everything, ())
    store = nw.TaskStore.open(tmp_path / "store", model)
    with store.begin("a", METHOD, head=Head("2", nn.Linear(16, 3))) as task:
        task.fit([MLP.batch(8, 3)], nw.Training(6), progress=False)
        task.commit()
    assert names(store) == ["0.weight", "1.weight"]
    assert same(state(store.load("a")), state(task.model))


def problem() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 8, generator=generator)
    return x, (x @ torch.randn(8, 4, generator=generator)).argmax(1)


@pytest.mark.parametrize(
    "wrap",
    [
        parametrizations.weight_norm,
        parametrizations.orthogonal,
        parametrizations.spectral_norm,
        nn.utils.spectral_norm,
    ],
    ids=["weight norm", "orthogonal", "spectral norm", "spectral norm by a hook"],
)
def test_parametrized_layers_learn_and_load_as_trained(tmp_path: Path, wrap: Any) -> None:
    x, y = problem()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), wrap(nn.Linear(32, 32)), nn.ReLU(), nn.Linear(32, 4))
    store = create(tmp_path, model, private=["2"], head="4")
    trained = {}
    for name in ("a", "b"):
        with store.begin(name, nw.IBM(density=0.3), head=4) as task:
            task.fit(
                [(x[i : i + 50], y[i : i + 50]) for i in range(0, 200, 50)], nw.Training(20, lr=1e-2), progress=False
            )
            task.commit()
        trained[name] = state(task.model)
        assert all(same(state(store.load(known)), trained[known]) for known in trained)
        assert torch.equal(logits(store.load(name), x), logits(task.model, x))
        assert (logits(store.load(name), x).argmax(1) == y).float().mean() > 0.8  # chance is a quarter
    assert store.verify(deep=True) == []


class Vision(nn.Module):
    """A small vision transformer: patches, a class token, positions as a plain parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 2, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 10, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.block(x)[:, 0])


@pytest.mark.parametrize("method", [METHOD, nw.WSN(density=0.3), nw.Magnitude(new=0.3, reuse=0.3, prune_every=2)])
def test_class_tokens_and_positions_stay_whole(tmp_path: Path, method: nw.Method) -> None:
    with pytest.warns(UserWarning, match=r"positions \(\d\.\d%\), token \(0\.\d%\)"):
        store = create(tmp_path, Vision())
    assert names(store) == [
        "patches.weight",
        *("block.self_attn.in_proj_weight", "block.self_attn.out_proj.weight"),
        *("block.linear1.weight", "block.linear2.weight", "head.weight"),
    ]
    x, y = torch.randn(12, 1, 6, 6), torch.arange(12) % 3
    with store.begin("a", method, head=Head("head", nn.Linear(16, 3))) as task:
        task.fit([(x, y)], nw.Training(12), progress=False)
        task.commit()
    loaded = store.load("a")
    assert same(state(loaded), state(task.model))
    assert (loaded.token != 0).all()
    assert (loaded.positions != 0).all()
    assert (loaded.patches.weight == 0).any()


class Language(nn.Module):
    """Words and the head that predicts them are one matrix; the head may be registered first or last."""

    def __init__(self, *, head_first: bool) -> None:
        super().__init__()
        if head_first:
            self.head = nn.Linear(8, 12, bias=False)
        self.words, self.middle = nn.Embedding(12, 8), nn.Linear(8, 8)
        if not head_first:
            self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.middle(self.words(x).mean(1))))


def test_a_tied_head_that_is_registered_first_is_refused_with_two_ways(tmp_path: Path) -> None:
    model = Language(head_first=True)
    store = create(tmp_path, model)
    with pytest.raises(ModelMismatchError, match=r"the same tensor as 'words\.weight'.*last.*private=\['head'\]"):
        store.begin("a", METHOD, head=Head("head", nn.Linear(8, 3)))
    assert store.tasks() == ()
    head = model.head
    del model.head
    model.head = head
    last = nw.TaskStore.create(tmp_path / "last", model)
    own = nw.TaskStore.create(tmp_path / "own", Language(head_first=True), private=["head"])
    for store, shared in ((last, ["words.weight", "middle.weight"]), (own, ["middle.weight"])):
        with store.begin("a", METHOD, head=Head("head", nn.Linear(8, 3))) as task:
            task.fit([(torch.arange(24).reshape(8, 3) % 12, torch.arange(8) % 3)], nw.Training(6), progress=False)
            task.commit()
        assert names(store) == shared
        assert same(state(store.load("a")), state(task.model))


def test_a_head_breaks_the_tie_for_its_own_task_only(tmp_path: Path) -> None:
    """The task's head has weights of its own; the words stay shared, and tied where a task brings no head."""
    model = Language(head_first=False)
    store = create(tmp_path, model)
    words, targets = torch.arange(24).reshape(8, 3) % 12, torch.arange(8) % 3
    trained = {}
    for name, head in (("tied", None), ("own", Head("head", nn.Linear(8, 12)))):
        with store.begin(name, METHOD, head=head) as task:
            task.fit([(words, targets)], nw.Training(8), progress=False)
            task.commit()
        trained[name] = state(task.model)
        assert (task.model.head.weight is task.model.words.weight) == (head is None)
        assert all(same(state(store.load(known)), trained[known]) for known in trained)
    assert store.load("tied").head.weight is not None
    tied, own = store.load("tied"), store.load("own")
    assert tied.head.weight is tied.words.weight
    assert own.head.weight is not own.words.weight
    assert names(store) == ["words.weight", "middle.weight"]
    assert F.mse_loss(own.head.weight, own.words.weight) > 0


def test_an_old_hook_that_normalises_is_private_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.weight_norm(nn.Linear(4, 4))
    assert shared_specs(layer) == ()
    assert not parametrize.is_parametrized(layer)


def test_learning_is_as_before_where_every_matrix_is_a_known_layers(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    assert names(store) == ["one.weight", "two.weight"]
