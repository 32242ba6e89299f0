"""Commands, carried out without a notebook."""

from __future__ import annotations

import pytest

from nbtransfer.commands import tree as commands
from nbtransfer.commands.parsing import UsageError
from nbtransfer.jobs.draft import Draft
from nbtransfer.ui.progress import watch
from tests.support.folders import write_cache


@pytest.fixture
def execute():
    context = commands.CommandContext("%transfer", "notebook", Draft(), watch, print)
    return lambda *words: commands.execute(list(words), context)[1]


class TestCaches:
    def test_listed_and_cleared_by_key(self, execute):
        write_cache("aa")
        write_cache("b")
        assert [cache.key for cache in execute("caches").value] == ["b", "aa"]
        assert execute("caches", "--clear", "a").text.endswith("freed")
        assert [cache.key for cache in execute("caches").value] == ["b"]
        execute("caches", "--clear")
        assert execute("caches").text == "there are no caches"

    def test_a_key_that_is_not_there(self, execute):
        with pytest.raises(UsageError, match="no key begins with 'c'; there are no caches"):
            execute("caches", "--clear", "c")
        write_cache("aa")
        with pytest.raises(UsageError, match="no key begins with 'ab'; choose one of aa"):
            execute("caches", "--clear", "aa", "ab")
        assert len(execute("caches").value) == 1
