import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.core.evaluation import evaluation, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3 (score without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000), st.data())
def test_an_interval_holds_the_share_and_mirrors(n, data):
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts(k, n):
    with pytest.raises(ValueError, match="have no interval"):
        wilson(k, n)


def test_counts_and_scores():
    found = evaluation("val", ("a", "b", "c"), [0, 0, 0, 1, 1], [0, 0, 1, 1, 0], 0.5)
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 0, 0))
    assert (found.examples, found.correct, found.accuracy) == (5, 3, 0.6)
    a, b, c = found.per_class()
    assert (a.recall, a.precision, a.f1) == (2 / 3, 2 / 3, 4 / 6)
    assert (b.recall, b.precision) == (0.5, 0.5)
    assert (c.examples, c.recall, c.precision, c.f1) == (0, None, None, None)
    assert a.recall_interval == wilson(2, 3)
    assert repr(found) == "Evaluation('val', accuracy 0.600 (95 % 0.231–0.882), 3 of 5)"
    assert "–" in found.table().splitlines()[-1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_agrees_with_scikit_learn(pairs):
    from sklearn.metrics import accuracy_score, confusion_matrix

    labels, predicted = zip(*pairs, strict=True)
    found = evaluation("val", "wxyz", labels, predicted, 0.0)
    assert [list(row) for row in found.confusion] == confusion_matrix(labels, predicted, labels=[0, 1, 2, 3]).tolist()
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
