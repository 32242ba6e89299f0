"""The order of images."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbtransfer.engine.data.order import Order


class TestOrder:
    @given(st.integers(1, 70), st.integers(2, 20), st.integers(0, 3), st.integers(0, 3))
    def test_every_image_once_and_never_a_batch_of_one(self, count, size, seed, epoch):
        order = Order(count, size, seed)
        order.epoch = epoch
        batches = list(order)
        assert len(batches) == len(order)
        assert sorted(n for batch in batches for _, n in batch) == list(range(count))
        assert {view for batch in batches for view, _ in batch} == {0}
        assert count == 1 or min(map(len, batches)) > 1
        assert max(map(len, batches)) <= size + 1

    def test_order_depends_on_seed_and_epoch_alone(self):
        def drawn(seed, epoch):
            order = Order(50, 8, seed)
            order.epoch = epoch
            return [n for batch in order for _, n in batch]

        assert drawn(1, 2) == drawn(1, 2)
        assert len({tuple(drawn(s, e)) for s in (0, 1) for e in (0, 1)}) == 4

    @given(st.integers(1, 40), st.integers(2, 20))
    def test_without_a_seed_it_is_the_manifests(self, count, size):
        batches = list(Order(count, size, None))
        assert [n for batch in batches for _, n in batch] == list(range(count))
        assert max(map(len, batches)) <= size
