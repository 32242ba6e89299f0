from nbtransfer.core.text.names import short_list, suggest


def test_close_names_are_suggested_else_the_first_ones():
    assert suggest("resnet81", ["resnet18", "vgg16"]) == "did you mean 'resnet18'?"
    assert suggest("RESNET18", ["resnet18"]) == "did you mean 'resnet18'?"
    assert suggest("zzz", ["alpha", "beta"]) == "choose one of alpha, beta"


def test_long_lists_are_cut():
    assert short_list(["a", "b"], most=2) == "a, b"
    assert short_list(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
