"""The wheel carries what a user without npm needs, also when it is built from the sdist."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from headwater.steps.workers.node import WORKER
from support.tree import ROOT

UV = Path(sys.executable).with_name("uv")


@pytest.mark.may_take(300)
@pytest.mark.parametrize("flags", [["--wheel"], []], ids=["from the checkout", "from the sdist"])
def test_the_wheel_has_the_node_worker_and_every_template(tmp_path: Path, flags: list[str]) -> None:
    if not UV.exists() or not WORKER.exists():
        pytest.skip("`make setup` has not run")
    built = subprocess.run(
        [UV, "build", *flags, "--quiet", "--out-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "headwater/browser/dist/client.js",
        "headwater/node/dist/main.mjs",
        "headwater/node/dist/zod.cjs",
        "headwater/node/dist/swc/wasm_bg.wasm",
        "headwater/cli/typegen/headwater.d.ts",
        "headwater/cli/typegen/headwater_types.txt",
        "headwater/cli/template/public/index.html",
        "headwater/cli/template/steps/create_message_step.py",
        "headwater/cli/template_typescript/steps/create-message.step.ts",
        "headwater/cli/template_typescript/tsconfig.json",
        "headwater/cli/template_mixed/headwater.toml",
        "headwater/cli/template_mixed/steps/like-message.step.ts",
    } <= names
    assert not any("/.headwater/" in name or "node_modules" in name for name in names)
