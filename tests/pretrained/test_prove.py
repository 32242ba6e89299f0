"""Where a model can be entered and left: what is proved, and what fails the proof."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbtransfer.core.backbone import InputSpec
from nbtransfer.core.freeze import FreezePlan
from nbtransfer.engine.model.freezing import training_modules
from nbtransfer.errors import BackboneError
from nbtransfer.pretrained.backbone import SplicedBackbone
from nbtransfer.pretrained.calls import record_calls
from nbtransfer.pretrained.measure import card_of
from nbtransfer.pretrained.prove import prove
from nbtransfer.pretrained.splice import Splice

SIZE = 6
WIDTH = 16


class Block(nn.Module):
    """A convolution that keeps the shape of its input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x):
        return torch.tanh(self.conv(x))


class Net(nn.Module):
    """Five blocks and a normalisation; what is special about it is in `step`, which comes before each block."""

    def __init__(self, blocks=5):
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 1)
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.norm = nn.BatchNorm2d(WIDTH)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def step(self, number, x, memory):
        return x

    def forward(self, images):
        x, memory = self.stem(images), {}
        for number, block in enumerate(self.blocks):
            x = block(self.step(number, x, memory))
            memory[number] = x
        return self.pool(self.norm(x)).flatten(1)


class Shortcut(Net):
    """The fourth block also reads what the second one gave."""

    def step(self, number, x, memory):
        return x + memory[1] if number == 3 else x


class LateToken(Net):
    """A tensor of the model itself, read before the first and before the fourth block."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.ones(WIDTH, 1, 1))

    def step(self, number, x, memory):
        return x + self.token if number in (0, 3) else x


class SharedNorm(Net):
    """One normalisation that is called before the second and before the fourth block."""

    def __init__(self):
        super().__init__()
        self.shared = nn.BatchNorm2d(WIDTH)

    def step(self, number, x, memory):
        return self.shared(x) if number in (1, 3) else x


class SharedReLU(Net):
    """A module without tensors that is called before every block."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def step(self, number, x, memory):
        return self.act(x)


class InPlace(Net):
    """Blocks are bare convolutions, and what the second one gave is changed in place before the third is called."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(5))

    def step(self, number, x, memory):
        return x.relu_() if number == 2 else x


class Table(nn.Module):
    """Positions, or biases: a module that is given no tensor."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.ones(WIDTH, 1, 1))

    def forward(self):
        return self.values * 2


class EarlyTable(Net):
    """A table that is computed first and read before the fourth block."""

    def __init__(self):
        super().__init__()
        self.table = Table()

    def step(self, number, x, memory):
        if number == 0:
            memory["table"] = self.table()
        return x + memory["table"] if number == 3 else x


class PairBlock(Block):
    def forward(self, pair):
        return super().forward(pair[0]), super().forward(pair[1])


class Pairs(Net):
    """Blocks hand on two tensors."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(PairBlock() for _ in range(5))

    def forward(self, images):
        pair = (self.stem(images),) * 2
        for block in self.blocks:
            pair = block(pair)
        return self.pool(self.norm(pair[0] + pair[1])).flatten(1)


class BatchFromTheImages(Net):
    """The number of images is read at the beginning and used at the end."""

    def forward(self, images):
        count = len(images)
        return super().forward(images).reshape(count, -1)


class Branching(Net):
    """What it computes last depends on the values of the images."""

    def forward(self, images):
        found = super().forward(images)
        return found if images.mean() > 0 else 2 * found


class Remembering(Net):
    """The first block leaves something in the model that the fourth one reads."""

    def step(self, number, x, memory):
        if number == 1:
            self.memory = x.mean((1, 2, 3), keepdim=True)
        return x + self.memory if number == 3 else x


class Masked(Net):
    """Which images are black decides what the last block gets."""

    def forward(self, images):
        self.black = (images == 0).all(1, keepdim=True)
        return super().forward(images)

    def step(self, number, x, memory):
        return x.masked_fill(self.black, 7) if number == 4 else x


class Centred(Net):
    """The third block's input is compared with that of the other images."""

    def step(self, number, x, memory):
        return x - x.mean(0, keepdim=True) if number == 2 else x


class Catching(Net):
    """Goes on after errors, whatever they are."""

    def forward(self, images):
        x = self.stem(images)
        for block in self.blocks:
            try:
                x = block(x)
            except Exception:  # noqa: BLE001 - as some people write it
                continue
        return self.pool(self.norm(x)).flatten(1)


class TwoSizes(Net):
    """One pooling that is called at two sizes."""

    def __init__(self):
        super().__init__()
        self.shrink = nn.MaxPool2d(3, 1)

    def step(self, number, x, memory):
        return self.shrink(x) if number in (1, 2) else x


class Dropping(Net):
    """Dropout between the blocks."""

    def __init__(self):
        super().__init__()
        self.drops = nn.ModuleList(nn.Dropout(0.5) for _ in range(5))

    def step(self, number, x, memory):
        return self.drops[number](x)


EVERY = ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4")
CASES = {
    Net: EVERY,
    Shortcut: ("stem", "blocks.0", "blocks.1", "blocks.3", "blocks.4"),
    LateToken: ("stem", "blocks.3", "blocks.4"),
    SharedNorm: ("stem", "blocks.0", "blocks.3", "blocks.4"),
    SharedReLU: EVERY,
    InPlace: ("stem", "blocks.0", "blocks.2", "blocks.3", "blocks.4"),
    EarlyTable: EVERY,
    Pairs: ("stem",),
    Branching: (),
    Remembering: ("stem", "blocks.0", "blocks.3", "blocks.4"),
    Masked: ("blocks.4",),
    Centred: ("stem", "blocks.0", "blocks.1"),
    Catching: EVERY,
    TwoSizes: EVERY,
    Dropping: ("drops.0", "drops.1", "drops.2", "drops.3", "drops.4", "blocks.4"),
    BatchFromTheImages: EVERY,
}


def make(kind):
    torch.manual_seed(0)
    return kind()


def spliced(net):
    return SplicedBackbone(net, prove(net, (SIZE, SIZE)), (SIZE, SIZE)).eval()


@pytest.mark.parametrize("kind", CASES)
def test_boundaries_are_where_nothing_else_passes(kind):
    assert prove(make(kind), (SIZE, SIZE)).ends == CASES[kind]


@pytest.mark.parametrize("kind", CASES)
def test_a_pass_in_parts_is_the_pass_of_the_whole(kind):
    backbone, images = spliced(make(kind)), torch.randn(4, 3, SIZE, SIZE)
    with torch.no_grad():
        whole = backbone(images)
        for number in range(len(backbone.stages) + 1):
            handed = backbone.run(images, 0, number)
            assert torch.equal(backbone.pool(backbone.run(handed, number)), whole)
        for number in range(len(backbone.stages)):
            images = backbone.run(images, number, number + 1)
    assert torch.equal(backbone.pool(images), whole)


@pytest.mark.parametrize("kind", CASES)
def test_a_proof_leaves_the_model_as_it_was(kind):
    net = make(kind).train()
    net.norm.eval()
    before, modes = copy.deepcopy(net.state_dict()), [module.training for module in net.modules()]
    prove(net, (SIZE, SIZE))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert not any("forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_layers_belong_to_the_stage_that_needs_them_last():
    assert prove(make(LateToken), (SIZE, SIZE)).layers["token"] == "blocks.3"
    assert prove(make(EarlyTable), (SIZE, SIZE)).layers["table"] == "blocks.3"
    assert prove(make(Net), (SIZE, SIZE)).layers["norm"] == "norm"


def test_what_follows_the_last_layer_is_pooling():
    net = make(Net)
    net.norm = nn.Identity()
    backbone = spliced(net)
    assert backbone.stages == EVERY
    images = torch.randn(2, 3, SIZE, SIZE)
    assert backbone.run(images).shape == (2, WIDTH, SIZE, SIZE)
    assert torch.equal(backbone.pool(backbone.run(images)), backbone(images))


def test_learning_in_the_later_part_is_that_of_the_whole():
    backbone, images = spliced(make(Net)), torch.randn(4, 3, SIZE, SIZE)
    for number in range(1, len(backbone.stages)):
        handed = backbone.run(images, 0, number).detach()
        stages = backbone.stages[number:]
        layers = [layer.name for layer in backbone.layers() if layer.stage in stages]
        parameters = [t for name in layers for t in backbone.tensors_of(name).values() if t.requires_grad]
        whole = torch.autograd.grad(backbone(images).square().sum(), parameters)
        part = torch.autograd.grad(backbone.pool(backbone.run(handed, number)).square().sum(), parameters)
        assert all(torch.equal(a, b) for a, b in zip(whole, part, strict=True))


def test_everything_is_put_back_after_an_error():
    net = make(Net).eval()
    splice = Splice(record_calls(net, torch.zeros(2, 3, SIZE, SIZE)), EVERY, (SIZE, SIZE))
    own = net.blocks[1].forward
    net.blocks[1].forward = own  # a function that the user put there
    with pytest.raises(RuntimeError):
        splice.run(net, torch.zeros(2, WIDTH + 1, SIZE, SIZE), "blocks.2", None)
    assert [name for name, module in net.named_modules() if "forward" in vars(module)] == ["blocks.1"]
    assert net.blocks[1].forward == own


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=3))
def test_a_boundary_is_kept_unless_a_shortcut_crosses_it(shortcuts):
    """`(a, n)`: what block a gave is read again before block a + n."""
    crossing = {source: source + length for source, length in shortcuts if source + length < 6}

    class Random(Net):
        def step(self, number, x, memory):
            return x + sum(memory[source] for source, target in crossing.items() if target == number)

    torch.manual_seed(0)
    net = Random(blocks=6)
    crossed = {number for source, target in crossing.items() for number in range(source + 1, target)}
    expected = tuple(name for number, name in enumerate((*EVERY, "blocks.5"), -1) if number not in crossed)
    found = prove(net, (SIZE, SIZE)).ends
    if len(expected) >= 4:
        assert found == expected
    assert not {f"blocks.{number}" for number in crossed} & set(found)


def test_what_is_called_between_layers_belongs_to_a_stage():
    assert prove(make(Dropping), (SIZE, SIZE)).leaves["drops.3"] == "blocks.2"


def test_a_layer_called_head_is_refused():
    net = make(Net)
    net.head, net.norm = net.norm, nn.Identity()
    net.norm.forward = net.head.forward
    with pytest.raises(BackboneError, match="a layer of mine is called 'head'"):
        card_of("mine", "code", "code", spliced(net), InputSpec(SIZE, SIZE, "bilinear", (0.5,) * 3, (0.5,) * 3), ())


def test_a_dropout_in_front_of_the_boundary_is_off():
    backbone = spliced(make(Dropping))
    card = card_of("mine", "code", "code", backbone, InputSpec(SIZE, SIZE, "bilinear", (0.5,) * 3, (0.5,) * 3), ())
    plan = FreezePlan.up_to(card, "blocks.1").resolve(card)
    active = training_modules(backbone.net, card, plan)
    assert [f"drops.{number}" in active for number in range(5)] == [False, False, False, True, True]
