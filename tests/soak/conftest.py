from pathlib import Path

import pytest

from tests.soak.figures import Figures

TABLE = Path(__file__).parents[2] / "benchmarks" / "results" / "soak.md"


@pytest.fixture(scope="module")
def figures(request):
    """Figures of all the long tests; shown, and written to a file, when they are through."""
    found = Figures()
    yield found
    if found.kills and found.latencies:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(found.table(), encoding="utf-8")
        request.config.pluginmanager.get_plugin("terminalreporter").write_line("\n" + found.table())
