"""The packed npm packages in a project that installs them: what they hold, their types, a bundle of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support import node
from support.tree import ROOT
from support.typescript import MODULES, compile_strictly

pytestmark = pytest.mark.npm

PAGE = """
import { createRoot } from 'react-dom/client'
import { connect } from 'headwater/client'
import { HeadwaterProvider, useStreamGroup, useStreamItem } from '@headwater/react'

function Chat({ select }: { select?: string | undefined }) {
  const { data, error } = useStreamGroup({ streamName: 'chatMessage', groupId: 'general' })
  const { data: one } = useStreamItem({ streamName: 'chatMessage', groupId: 'general', id: select })
  const rows = data.map(({ id, message }) => <li key={id}>{message.trim()}</li>)
  return <ul title={one?.user_id}>{error?.message}{rows}</ul>
}
const client = connect('/', { lazy: true })
client.group('chatMessage', 'general', { sortKey: 'timestamp' }).getState()[0]?.message.trim()
// @ts-expect-error a member that messages do not have
client.item('chatMessage', 'general', 'a').getState()?.nothing
createRoot(document.body).render(<HeadwaterProvider><Chat /></HeadwaterProvider>)
"""


def run(*command: str | Path, cwd: Path) -> str:
    found = node.find()
    ran = subprocess.run(command, cwd=cwd, env=found.environ(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the packages as npm would unpack them, and those of others as they are."""
    if not MODULES.exists():
        pytest.skip("the npm workspace is not installed; make npm does that")
    folder = tmp_path_factory.mktemp("consumer")
    run(
        node.find().npm,
        "pack",
        "-w",
        "headwater",
        "-w",
        "@headwater/react",
        "--pack-destination",
        folder,
        cwd=ROOT,
    )
    modules = folder / "node_modules"
    for tarball, name in (("headwater-0", "headwater"), ("headwater-react-", "@headwater/react")):
        (packed,) = folder.glob(f"{tarball}*.tgz")
        (modules / name).mkdir(parents=True)
        run("tar", "xzf", packed, "--strip-components=1", "-C", modules / name, cwd=folder)
    for other in ("react", "react-dom", "scheduler", "csstype", "@types"):
        (modules / other).symlink_to(MODULES / other)
    (folder / "web").mkdir()
    (folder / "web" / "main.tsx").write_text(PAGE)
    return folder


def unpacked(project: Path, package: str) -> set[str]:
    folder = project / "node_modules" / package
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("package", ["headwater", "@headwater/react"])
def test_a_package_holds_the_built_client_its_types_and_its_licence(project: Path, package: str) -> None:
    names = unpacked(project, package)
    assert {"package.json", "README.md", "LICENSE", "dist/index.js", "dist/index.d.ts"} <= names
    assert all(
        name.endswith(".d.ts") for name in names if name.startswith("dist/") and name != "dist/index.js"
    )


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_a_page_knows_its_items_by_the_generated_types(project: Path, resolution: str) -> None:
    (project / "types.d.ts").write_text((ROOT / "examples" / "chat-mixed" / "types.d.ts").read_text())
    options = {
        "target": "es2022",
        "module": "nodenext" if resolution == "nodenext" else "esnext",
        "moduleResolution": resolution,
        "jsx": "react-jsx",
        "lib": ["es2023", "dom"],
        "types": [],
    }
    (project / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "include": ["web", "types.d.ts"]})
    )
    strict = {"exactOptionalPropertyTypes": True, "noUncheckedIndexedAccess": True, "skipLibCheck": False}
    assert compile_strictly(project, **strict) == []


def test_a_bundle_leaves_out_what_the_page_does_not_use(project: Path) -> None:
    esbuild = MODULES / "esbuild" / "bin" / "esbuild"
    flags = ["--bundle", "--minify", "--format=esm", "--jsx=automatic", "--external:react*"]
    whole = run(esbuild, "web/main.tsx", *flags, cwd=project)
    assert "headwater.v1" in whole
    (project / "web" / "unused.ts").write_text("import 'headwater/client'\nimport '@headwater/react'\n")
    unused = run(esbuild, "web/unused.ts", *flags, "--log-level=error", cwd=project)
    assert unused.strip() == ""
