import pytest

import nbtransfer as nt
from nbtransfer.core import catalog
from nbtransfer.errors import BackboneError


def test_every_card_survives_its_file():
    for name in catalog.names():
        card = catalog.card(name)
        assert catalog.decode(catalog.encode(card)) == card


def test_unknown_names_list_the_nearest():
    with pytest.raises(BackboneError, match="there is no backbone 'resnet19'; did you mean 'resnet18'"):
        nt.backbone("resnet19")


def test_the_list_prints_as_a_table_with_what_matters_before_a_download():
    table = repr(nt.backbones("resnet"))
    header, _, *rows = table.splitlines()
    row = next(row for row in rows if row.startswith("resnet18"))
    assert " ".join(header.split()) == "backbone parameters multiply-adds input top-1 % licence of the weights"
    assert " ".join(row.split()) == "resnet18 11.2 M 1.81 G 224 px 69.8 BSD-3-Clause"
    assert "<table>" in nt.backbones("resnet18")._repr_html_()


def test_non_commercial_weights_are_labelled():
    swag = nt.backbone("vit_h_14").weights[0]
    assert swag.licence == "CC-BY-NC-4.0"
    assert swag.input.size == 518


def test_weights_by_name():
    card = nt.backbone("resnet50")
    assert card.weights_named("default") is card.weights[0]
    assert card.weights_named("IMAGENET1K_V1").name == "IMAGENET1K_V1"
    with pytest.raises(BackboneError, match="resnet50 has no pretrained weights called 'V3'; use 'default' or one of"):
        card.weights_named("V3")


def test_input_at_another_size_keeps_the_share_of_the_crop():
    spec = nt.backbone("resnet18").input
    assert (spec.size, spec.resize) == (224, 256)
    assert (spec.at(112).size, spec.at(112).resize) == (112, 128)
    assert spec.at(None, crop=1.0).resize == 224
