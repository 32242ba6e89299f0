"""Work done ahead by a thread."""

from __future__ import annotations

import pytest

from nbtransfer.engine.data.prefetch import prefetch


class TestAhead:
    def test_the_same_things_in_order(self):
        assert list(prefetch(iter(range(50)))) == list(range(50))
        assert list(prefetch([])) == []

    def test_errors_arrive_where_things_are_used(self):
        def things():
            yield 1
            raise ValueError("two")

        made = prefetch(things())
        assert next(made) == 1
        with pytest.raises(ValueError, match="two"):
            next(made)

    def test_it_can_be_left_early(self):
        made = prefetch(iter(range(10**9)))
        assert next(made) == 0
        made.close()
