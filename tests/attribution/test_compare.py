"""Two models on the same images: what may go in, what must come out, and what must be left alone."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerIntegratedGradients
from torch.nn import functional as F

from nbtransfer.attribution import evidence
from nbtransfer.attribution.compare import compare, with_random_head
from nbtransfer.attribution.evidence import margin, path_attribution
from nbtransfer.attribution.inputs import baseline
from nbtransfer.attribution.private_copy import private_copy, shared_digest
from nbtransfer.attribution.spatial_cut import find_cut
from nbtransfer.engine.model.freezing import digest
from nbtransfer.errors import InputError
from tests.support.trios import Trio, picture, randomise


@pytest.fixture(scope="module")
def small():
    """The quickest family there is."""
    return Trio("shufflenet_v2_x0_5")


@pytest.mark.usefixtures("without_input_attributions")
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "tiny_swin"])
def test_exact_maps_are_class_activation_maps(name):
    """Captum's Grad-CAM times the number of places, for a head that is linear after averaging."""
    trio = Trio(name)
    found = trio.changed.evidence
    model, image = private_copy(trio.after), _normalised(trio)
    weights, _ = margin(model.head, 0)
    last = model.backbone.get_submodule(model.backbone.stages[-1])
    cam = LayerGradCam(lambda x: model.backbone(x) @ weights.float(), last).attribute(image)[0, 0].detach().numpy()
    assert found.grid == cam.shape
    assert np.allclose(found.after.map, cam, rtol=0, atol=1e-5 * np.abs(cam).max())


@pytest.mark.usefixtures("without_input_attributions")
def test_path_maps_are_captums_layer_integrated_gradients():
    trio = Trio("mobilenet_v3_small")
    model, image = private_copy(trio.after), _normalised(trio)
    start = baseline("mean", image, model.spec)
    weights, _ = margin(model.head, 0)
    stage = model.backbone.get_submodule("conv_head")
    method = LayerIntegratedGradients(lambda x: model.backbone(x) @ weights.float(), stage)
    theirs = method.attribute(image, baselines=start, n_steps=evidence.PATH_STEPS)[0].sum(0).detach().numpy()
    ours = trio.changed.evidence.after.map
    assert np.allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.usefixtures("without_input_attributions")
def test_the_last_tokens_of_a_vision_transformer_are_passed_over():
    """Its features read nothing but the class token of the last block: patches would have exactly no evidence there."""
    trio = Trio("tiny_vit")
    model, image = private_copy(trio.after), _normalised(trio)
    boundary = find_cut(model.backbone, image)
    assert boundary.name == "block2"
    assert (boundary.layout.kind, boundary.layout.extra) == ("tokens", 1)
    found = trio.changed.evidence
    assert found.after.tokens != 0
    assert found.after.map.any()


def test_places_equal_to_the_baseline_have_exactly_no_evidence(small):
    model = private_copy(small.after)
    boundary = find_cut(model.backbone, _normalised(small))
    end = boundary.enter(model.backbone, _normalised(small))
    start = torch.zeros_like(end)
    end[:, :, 0, 0] = 0
    weights = torch.stack([margin(model.head, 0)[0]])
    found = path_attribution(lambda a: boundary.leave(model.backbone, a), start, end, weights)
    assert not found[0, :, 0, 0].any()
    assert found[0, :, 1, 1].any()


@pytest.mark.usefixtures("without_input_attributions")
def test_dead_channels_have_exactly_no_evidence():
    trio = Trio("resnet18")
    other = copy.deepcopy(trio.after)
    with torch.no_grad():
        # The skip connection and the last normalisation, which are added up before the last ReLU.
        block = other.backbone.layer4[1]
        block.bn2.weight[:7], block.bn2.bias[:7] = 0, -1e9
        silent = copy.deepcopy(other)
        silent.head.weight[:, :7] = 0
    first, second = (compare(trio.before, model, trio.pixels, [0])[0].evidence.after.map for model in (other, silent))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", pytest.param("mobilenet_v3_small", marks=pytest.mark.slow)])
def test_one_vector_added_to_all_rows_of_the_head_changes_no_map(name):
    """Softmax does not see it, so the margin must not either; a single logit would."""
    trio = Trio(name)
    other = copy.deepcopy(trio.after)
    with torch.no_grad():
        other.head.weight.add_(torch.randn(other.card.width, generator=torch.Generator().manual_seed(9)))
    first, second = trio.changed, compare(trio.before, other, trio.pixels, [0])[0]
    assert second.probabilities[1] == pytest.approx(first.probabilities[1], abs=1e-4)
    for part in ("before", "after"):
        maps = [getattr(found.evidence, part).map for found in (first, second)]
        assert np.allclose(*maps, rtol=0, atol=1e-4 * np.abs(maps[0]).max())
    maps = [found.inputs.after.map for found in (first, second)]
    assert np.allclose(*maps, rtol=0, atol=1e-3 * np.abs(maps[0]).max())


def test_a_model_compared_with_itself_has_not_changed(small):
    found = compare(small.before, small.before, small.pixels, [1])[0]
    assert (found.change.total, found.change.shared, found.change.head) == (0, 0, 0)
    assert np.array_equal(found.evidence.before.map, found.evidence.after.map)
    assert np.array_equal(found.inputs.before.map, found.inputs.after.map)
    assert (found.inputs.agreement.spearman, found.inputs.agreement.overlap) == (1, 1)
    assert found.inputs.floor.spearman < 0.9


def test_without_a_target_the_answer_after_is_explained(small):
    pixels = picture(64, 3)
    found = compare(small.before, small.after, pixels, [None, 1, None])
    assert found[1].target == 1
    for image in (0, 2):
        assert found[image].target == int(np.argmax(found[image].probabilities[1]))


def test_images_are_explained_as_if_each_were_alone(small):
    pixels = picture(64, 2)
    together = compare(small.before, small.after, pixels, [0, 0])[1]
    alone = compare(small.before, small.after, pixels[1:], [0])[0]
    assert np.array_equal(together.evidence.shared.map, alone.evidence.shared.map)
    assert np.array_equal(together.inputs.after.map, alone.inputs.after.map)


@pytest.mark.parametrize("failing", [False, True])
def test_everything_is_left_as_it_was_also_after_an_error(small, failing):
    model, pixels = copy.deepcopy(small.after).train(), picture(64, 2)
    kept = pixels.clone()
    hook = model.backbone.conv5.register_forward_hook(lambda *_: None)
    model(torch.rand(2, 3, 64, 64)).sum().backward()
    state, gradients = digest(model.state_dict().values()), [p.grad.clone() for p in model.parameters()]
    modes, random = [m.training for m in model.modules()], torch.get_rng_state()

    def on_image(done):
        if failing:
            raise KeyboardInterrupt

    try:
        compare(small.before, model, pixels, [0, 0], on_image=on_image)
    except KeyboardInterrupt:
        assert failing
    else:
        assert not failing
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(pixels, kept)
    assert digest(model.state_dict().values()) == state
    assert [m.training for m in model.modules()] == modes
    assert all(p.requires_grad and torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert list(model.backbone.conv5._forward_hooks) == [hook.id]
    assert sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()) == 1


def test_it_does_not_matter_under_which_modes_it_is_called(small):
    plain = compare(small.before, small.after, small.pixels, [0])[0]
    with torch.inference_mode():
        pixels = small.pixels.clone()
        inferring = compare(small.before, small.after, pixels, [0])[0]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        casting = compare(small.before, small.after, small.pixels, [0])[0]
    for found in (inferring, casting):
        assert np.array_equal(found.inputs.after.map, plain.inputs.after.map)
        assert np.array_equal(found.evidence.after.map, plain.evidence.after.map)


def test_training_is_not_disturbed(small):
    """The gradients of a model that is being explained in another thread are those of one that is not."""
    alone = _gradients(small)
    stop = threading.Event()

    def explain():
        while not stop.is_set():
            compare(small.before, small.after, small.pixels, [0])

    thread = threading.Thread(target=explain)
    thread.start()
    try:
        watched = _gradients(small)
    finally:
        stop.set()
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))


def _gradients(small):
    """Gradients of twelve steps of training `after`, whose weights are put back at the end."""
    model, images = small.after, F.interpolate(picture(64, 4).float() / 255, size=64)
    state, found = copy.deepcopy(model.state_dict()), []
    model.train()
    try:
        for _ in range(12):
            model.zero_grad()
            F.cross_entropy(model(images), torch.tensor([0, 1, 2, 0])).backward()
            found += [parameter.grad.clone() for parameter in model.parameters()]
    finally:
        model.eval().zero_grad()
        model.load_state_dict(state)
    return found


def test_a_snapshot_shares_nothing(small):
    model = copy.deepcopy(small.after).train()
    model.register_forward_hook(lambda *_: None)
    copied = private_copy(model)
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in copied.state_dict().values())
    assert not any(module.training or module._forward_hooks or getattr(module, "inplace", False) for module in copied.modules())
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert shared_digest(copied) == shared_digest(model)
    compiled = torch.compile(model, backend="eager")
    assert type(private_copy(compiled)) is type(model)


def test_a_random_head_is_the_same_each_time_and_touches_no_state(small):
    state = torch.get_rng_state()
    first, second = with_random_head(private_copy(small.after)), with_random_head(private_copy(small.after))
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, small.after.head.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_models_that_cannot_be_compared_are_refused(small):
    other = copy.deepcopy(small.after)
    other.classes = ("a", "b", "d")
    with pytest.raises(InputError, match="same classes"):
        compare(small.before, other, small.pixels, [0])
    other = copy.deepcopy(small.after)
    other.spec = other.spec.at(96)
    with pytest.raises(InputError, match=r"shorter side 64 px, .* shorter side 96 px"):
        compare(small.before, other, small.pixels, [0])
    with pytest.raises(InputError, match="same backbone"):
        compare(small.before, Trio("squeezenet1_1").after, small.pixels, [0])
    with pytest.raises(InputError, match="no baseline 'blurr'; did you mean 'blur'"):
        compare(small.before, small.after, small.pixels, [0], "blurr")


def test_noise_is_what_it_says():
    """The helper of these tests moves every tensor, constants too."""
    tensors = [torch.zeros(3, 3), torch.ones(5)]
    before = [t.clone() for t in tensors]
    randomise(tensors, 0.2, 0)
    assert not any(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def _normalised(trio):
    from nbtransfer.engine.data.preprocess import Normalise

    return Normalise(trio.after.spec, torch.device("cpu"))(trio.pixels)
