"""Weights from elsewhere, in a format that can hold more than numbers: read once, in a process of its own, and kept as numbers.

`python -m nbtransfer.pretrained.foreign SOURCE TARGET` is that process. It may not take much memory or time, it accepts
nothing but dense tensors, and whatever a hostile file makes of it does not reach the process that asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from nbtransfer.errors import WeightsError
from nbtransfer.pretrained import weights
from nbtransfer.store import atomic
from nbtransfer.store.home import home, private_folder

CPU_SECONDS = 300
ROOM = 1 << 30
REFUSED = 3
DTYPES = frozenset({
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
    torch.bool,
})  # fmt: skip


def read(path: Path) -> weights.StateDict:
    """The tensors in a .safetensors, .pt or .pth file; raises WeightsError when there is anything else in it."""
    if path.suffix == ".safetensors" or not path.is_file():
        return weights.read(path)
    _check_archive(path)
    return weights.read(_convert_in_child(path))


def _convert_in_child(path: Path) -> Path:
    """The same tensors as a safetensors file, made by another process unless that was done before."""
    kept = private_folder(home() / "weights") / f"{weights.file_digest(path)}.safetensors"
    proof = kept.with_suffix(".sha256")
    if kept.is_file() and proof.is_file() and proof.read_text(encoding="ascii") == weights.file_digest(kept):
        return kept
    draft = atomic.temporary_beside(kept)
    modules = os.pathsep.join(entry for entry in sys.path if entry)
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(path.absolute()), str(draft)],
            env={**os.environ, "PYTHONPATH": modules}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            start_new_session=True,
        )  # fmt: skip
        if child.returncode:
            if child.returncode == REFUSED:
                raise WeightsError(child.stdout.strip())
            raise _refusal(path, "it took too much memory or time")
        proof.write_text(weights.file_digest(draft), encoding="ascii")
        atomic.publish(draft, kept)
    finally:
        draft.unlink(missing_ok=True)
    return kept


def _check_archive(path: Path) -> None:
    """Refuse from the table of contents what no reader should unpack."""
    if not zipfile.is_zipfile(path):
        return  # an older format, which the other process will look at
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise _refusal(path, f"its table of contents is damaged: {error}") from error
    names = [entry.filename for entry in entries]
    if any("/code/" in name or name.endswith(("constants.pkl", "archive_format")) for name in names):
        raise _refusal(path, "it holds a program, not just weights")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise _refusal(path, "it claims to hold more than it can")


def _refusal(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} cannot be read as plain weights ({reason}); "
        "save it as safetensors, or with torch.save(model.state_dict(), …) where it came from"
    )


def convert(source: Path, target: Path) -> str | None:
    """Write the tensors of `source` as safetensors; returns what to say if it holds anything else."""
    _limit(source.stat().st_size)
    try:
        state = weights.read(source)
    except WeightsError as error:
        return str(error)
    odd = [name for name, t in state.items() if t.dtype not in DTYPES or t.layout != torch.strided or t.is_quantized]
    if odd:
        return str(_refusal(source, f"{odd[0]} is no dense tensor of numbers"))
    save_file({str(name): tensor.detach().clone().contiguous() for name, tensor in state.items()}, target)
    return None


def _limit(size: int) -> None:
    """Leave room for the tensors twice, and not much more. Only some systems can be told."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    status = Path("/proc/self/statm")
    if status.exists():  # elsewhere nobody says how much address space the libraries have taken already
        taken = int(status.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * size + ROOM,) * 2)


if __name__ == "__main__":
    reason = convert(Path(sys.argv[1]), Path(sys.argv[2]))
    if reason is not None:
        sys.stdout.write(reason)
        sys.exit(REFUSED)
