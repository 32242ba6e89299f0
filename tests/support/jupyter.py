"""A real Jupyter server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.processes import reap


class Server:
    """JupyterLab and Notebook 7, with folders of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder / "work", folder / "home"
        self.folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **own, "HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
        environment |= {"NBTRANSFER_HOME": str(self.runs), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
        news = folder / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        news.parent.mkdir(parents=True)
        news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self.log = (folder / "server.log").open("wb")
        flags = [
            "--no-browser", "--ip=127.0.0.1", f"--port={self.port}", "--IdentityProvider.token=tok", "--allow-root",
            "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", f"--ServerApp.root_dir={self.folder}",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *flags],
            env=environment, cwd=self.folder, stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                return self.api("api/status")
            except OSError:
                assert self.process.poll() is None, Path(self.log.name).read_text()
                time.sleep(0.1)
        raise TimeoutError(Path(self.log.name).read_text())

    def api(self, path: str, method: str = "GET"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}", method=method, headers={"Authorization": "token tok"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def url(self, kind: str, notebook: str) -> str:
        place = {"lab": f"lab/tree/{notebook}?reset&", "notebook": f"notebooks/{notebook}?"}[kind]
        return f"http://127.0.0.1:{self.port}/{place}token=tok"

    def end_sessions(self) -> None:
        for session in self.api("api/sessions"):
            self.api(f"api/sessions/{session['id']}", "DELETE")

    def stop(self) -> None:
        self.end_sessions()
        reap(self.runs)
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.log.close()
