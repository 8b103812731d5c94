"""Building a wheel: the checkout's `resources` becomes `datashop_resources`, a name that cannot clash.

From the checkout nothing is built: the code runs as it lies, and imports `resources`.
"""

import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

IMPORT = re.compile(r"^(\s*(?:from|import) )resources\b", re.MULTILINE)


class BuildRenamed(build_py):
    """Copies the modules as usual, then renames the imports in what was copied."""

    def run(self) -> None:
        super().run()
        for module in Path(self.build_lib).rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            renamed = IMPORT.sub(r"\1datashop_resources", text)
            if renamed != text:
                module.write_text(renamed, encoding="utf-8")


setup(cmdclass={"build_py": BuildRenamed})
