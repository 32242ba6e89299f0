"""Foreign weights in a format that can contain code: read once, in a child process, and stored as plain tensors.

`python -m nbtransfer.pretrained.foreign SOURCE TARGET` is that process. Its memory and time are limited, it accepts only
dense tensors, and a hostile file cannot affect its parent.
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
from nbtransfer.store.search_path import python_path

CPU_SECONDS = 300
ROOM = 1 << 30
REFUSED = 3
DTYPES = frozenset({
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
    torch.bool,
})  # fmt: skip


def read(path: Path) -> weights.StateDict:
    """The tensors in a .safetensors, .pt or .pth file; raises WeightsError if it contains anything else."""
    if path.suffix == ".safetensors" or not path.is_file():
        return weights.read(path)
    _check_archive(path)
    return weights.read(_convert_in_child(path))


def _convert_in_child(path: Path) -> Path:
    """The same tensors as a safetensors file, converted once by a child process."""
    kept = private_folder(home() / "weights") / f"{weights.file_digest(path)}.safetensors"
    proof = kept.with_suffix(".sha256")
    if kept.is_file() and proof.is_file() and proof.read_text(encoding="ascii") == weights.file_digest(kept):
        return kept
    draft = atomic.temporary_beside(kept)
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(path.absolute()), str(draft)],
            env={**os.environ, "PYTHONPATH": python_path()}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, start_new_session=True,
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
    """Refuse, by its table of contents, an archive that is unsafe to unpack."""
    if not zipfile.is_zipfile(path):
        return  # an older format, which the child process checks
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise _refusal(path, f"its table of contents is damaged: {error}") from error
    names = [entry.filename for entry in entries]
    if any("/code/" in name or name.endswith(("constants.pkl", "archive_format")) for name in names):
        raise _refusal(path, "it contains a program, not just weights")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise _refusal(path, "it claims to contain more than its size allows")


def _refusal(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} cannot be read as plain weights ({reason}); "
        "save it again where it came from, as safetensors or with torch.save(model.state_dict(), …)"
    )


def convert(source: Path, target: Path) -> str | None:
    """Write the tensors of `source` as safetensors; returns an error message if it contains anything else."""
    _limit(source.stat().st_size)
    try:
        state = weights.read(source)
    except WeightsError as error:
        return str(error)
    odd = [name for name, t in state.items() if t.dtype not in DTYPES or t.layout != torch.strided or t.is_quantized]
    if odd:
        return str(_refusal(source, f"{odd[0]} is not a dense tensor of numbers"))
    save_file({str(name): tensor.detach().clone().contiguous() for name, tensor in state.items()}, target)
    return None


def _limit(size: int) -> None:
    """Allow memory for the tensors a few times, and not much more. Not every system supports this."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    status = Path("/proc/self/statm")
    if status.exists():  # elsewhere the address space taken by libraries is unknown
        taken = int(status.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * size + ROOM,) * 2)


if __name__ == "__main__":
    reason = convert(Path(sys.argv[1]), Path(sys.argv[2]))
    if reason is not None:
        sys.stdout.write(reason)
        sys.exit(REFUSED)
