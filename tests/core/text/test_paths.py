from pathlib import Path

from nbtransfer.core.text.paths import short_path


def test_paths_are_relative_to_the_working_folder_or_home(tmp_path, monkeypatch):
    work = tmp_path / "person" / "work"
    work.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(work.parent))
    monkeypatch.chdir(work)
    assert short_path(Path("runs/a")) == "runs/a"
    assert short_path(work.parent / "data") == "~/data"
    assert short_path(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
