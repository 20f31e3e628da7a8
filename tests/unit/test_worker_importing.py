"""Imports in project files mean what users expect, and come from the bytes in hand."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
import traceback
from pathlib import Path

import pytest

from support.worker_project import imported, sources

ROOT = Path("/project")


def test_a_file_imports_its_siblings_by_their_bare_names() -> None:
    files = {"steps/a/x_step.py": "import lib\nfrom lib import value", "steps/a/lib.py": "value = 1"}
    with imported(ROOT, files) as importer:
        module = importer.load("steps/a/x_step.py")
        assert module.value == 1
        assert module.lib.value == 1


def test_a_file_imports_files_of_its_parent_folder() -> None:
    files = {"steps/a/x_step.py": "from lib import value", "steps/lib.py": "value = 2"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/x_step.py").value == 2


@pytest.mark.parametrize("folder", ["src", "steps"])
def test_a_file_imports_from_the_root_by_the_folders_name(folder: str) -> None:
    files = {
        "steps/deep/er/x_step.py": f"from {folder}.tools.numbers import value\n"
        f"import {folder}.tools.numbers as n",
        f"{folder}/tools/numbers.py": "value = 3",
    }
    with imported(ROOT, files) as importer:
        module = importer.load("steps/deep/er/x_step.py")
        assert (module.value, module.n.value) == (3, 3)


@pytest.mark.parametrize("init", [{}, {"lib/__init__.py": "from lib.core import value"}])
def test_a_file_imports_packages_at_the_root_with_or_without_init(init: dict[str, str]) -> None:
    files = {"steps/a/x_step.py": "from lib.core import value", "lib/core.py": "value = 4", **init}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/x_step.py").value == 4


def test_folders_of_steps_are_searched_for_shared_folders() -> None:
    files = {"steps/a/b/x_step.py": "from shared.core import value", "src/shared/core.py": "value = 5"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/b/x_step.py").value == 5


@pytest.mark.parametrize(
    ("path", "dots"), [("steps/x_step.py", ".."), ("steps/a/x.step.py", "..."), ("src/a-b/2_step.py", "...")]
)
@pytest.mark.parametrize("init", [{}, {"services/__init__.py": "", "steps/__init__.py": ""}])
def test_relative_imports_reach_the_projects_root(path: str, dots: str, init: dict[str, str]) -> None:
    lines = [
        f"from {dots}services.s import v",
        f"from {dots}services import s",
        f"from {dots} import services, top",
        f"from {dots}top import t",
    ]
    files = {path: "\n".join(lines), "services/s.py": "v = 1\nclass A: pass", "top.py": "t = 2", **init}
    with imported(ROOT, files) as importer:
        module = importer.load(path)
        assert (module.v, module.s.v, module.services.s.v, module.t, module.top.t) == (1, 1, 1, 2, 2)
        assert module.s is importer.load("services/s.py")


@pytest.mark.parametrize(
    "line", ["from ...services.s import v", "from .services.s import v", "from .. import no"]
)
def test_a_relative_import_that_leads_nowhere_fails_as_in_python(line: str) -> None:
    files = {"steps/x_step.py": line, "services/s.py": "v = 1"}
    with imported(ROOT, files) as importer, pytest.raises(ImportError):
        importer.load("steps/x_step.py")


def test_relative_imports_work() -> None:
    files = {
        "steps/a/x_step.py": "from .near import near\nfrom ..far import far\nfrom . import near as module",
        "steps/a/near.py": "near = 1",
        "steps/far.py": "far = 2",
    }
    with imported(ROOT, files) as importer:
        module = importer.load("steps/a/x_step.py")
        assert (module.near, module.far, module.module.near) == (1, 2, 1)


@pytest.mark.parametrize(
    "name",
    [
        "property-search_step.py",
        "x.job_step.py",
        "a.step.py",
        "pet_creation.stream.py",
        "01-first_step.py",
        "9.step.py",
        "grüße_step.py",
        "with space_step.py",
    ],
)
def test_file_names_of_every_form_load_and_import_their_siblings(name: str) -> None:
    files = {f"steps/02-orders.v1/{name}": "from lib import value", "steps/02-orders.v1/lib.py": "value = 6"}
    with imported(ROOT, files) as importer:
        module = importer.load(f"steps/02-orders.v1/{name}")
        assert module.value == 6
        assert module.__file__ == f"/project/steps/02-orders.v1/{name}"
        assert sys.modules[module.__name__] is module


def test_two_folders_with_a_file_of_one_name_do_not_clash() -> None:
    files = {
        "steps/a/x_step.py": "import utils",
        "steps/a/utils.py": "name = 'a'",
        "steps/b/x_step.py": "import utils",
        "steps/b/utils.py": "name = 'b'",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/x_step.py").utils.name == "a"
        assert importer.load("steps/b/x_step.py").utils.name == "b"


def test_every_way_to_name_a_file_gives_the_same_classes() -> None:
    files = {
        "steps/a/x_step.py": """
            import utils
            from utils import X as bare
            from steps.a.utils import X as full
            from .utils import X as relative
            import steps.a.utils
            import importlib
            by_name = importlib.import_module("steps.a.utils").X
            by_bare_name = importlib.import_module("utils").X
            through = steps.a.utils.X
        """,
        "steps/a/utils.py": "class X: pass",
    }
    with imported(ROOT, files) as importer:
        module = importer.load("steps/a/x_step.py")
        names = ("bare", "full", "relative", "by_name", "by_bare_name", "through")
        assert {getattr(module, name) for name in names} == {module.utils.X}


def test_a_file_runs_once_however_often_it_is_imported() -> None:
    files = {
        "steps/a/x_step.py": "import count\nfrom steps.a import count as again",
        "steps/y_step.py": "from a.count import runs",
        "steps/a/count.py": "runs = object()",
    }
    with imported(ROOT, files) as importer:
        first = importer.load("steps/a/x_step.py")
        assert first.count is first.again
        assert importer.load("steps/y_step.py").runs is first.count.runs


def test_a_sibling_named_like_a_stdlib_module_wins_for_the_files_beside_it_alone() -> None:
    files = {
        "steps/a/x_step.py": "import queue\nimport json.decoder",
        "steps/a/queue.py": "mine = True",
        "steps/a/inner/y_step.py": "import queue",
        "steps/z_step.py": "import queue",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/x_step.py").queue.mine
        assert hasattr(importer.load("steps/z_step.py").queue, "SimpleQueue")
        assert hasattr(importer.load("steps/a/inner/y_step.py").queue, "SimpleQueue")
        assert hasattr(importlib.import_module("queue"), "SimpleQueue")


def test_the_stdlib_keeps_its_own_modules_at_the_root_too() -> None:
    files = {
        "email/__init__.py": "mine = 1",
        "email/tools.py": "x = 2",
        "steps/x_step.py": "from email.tools import x",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").x == 2
        assert not hasattr(importlib.import_module("email"), "mine")


def test_c_code_called_by_a_file_imports_the_stdlib_whatever_lies_beside_the_file() -> None:
    files = {
        "steps/x_step.py": "import datetime\nday = datetime.datetime.strptime('2024', '%Y').year",
        "steps/_strptime.py": "raise RuntimeError('never imported')",
    }
    with imported(ROOT, files) as importer:
        sys.modules.pop("_strptime", None)
        assert importer.load("steps/x_step.py").day == 2024


def test_a_folder_of_steps_named_like_an_installed_package_does_not_hide_it() -> None:
    files = {"steps/x_step.py": "import orjson", "steps/orjson/y_step.py": "import orjson"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").orjson.dumps(1) == b"1"
        assert importer.load("steps/orjson/y_step.py").orjson.dumps(1) == b"1"


def test_files_in_a_folder_named_like_an_installed_package_are_still_reached() -> None:
    files = {"steps/x_step.py": "from orjson.helper import value", "steps/orjson/helper.py": "value = 7"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").value == 7


def test_a_file_named_like_the_package_it_wraps_gets_the_package() -> None:
    files = {"steps/orjson.py": "import orjson as real", "steps/x_step.py": "from orjson import real"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").real.dumps(1) == b"1"


def test_third_party_code_is_not_affected_by_project_files() -> None:
    files = {
        "steps/x_step.py": "import email.mime.text as text",
        "base64.py": "raise RuntimeError",
        "steps/base64.py": "",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").text.MIMEText("x").as_string()


def test_circular_imports_behave_as_in_python() -> None:
    files = {
        "steps/x_step.py": "import one",
        "steps/one.py": "import two\nname = 'one'",
        "steps/two.py": "import one\ndef late(): return one.name",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").one.two.late() == "one"


def test_a_circular_import_of_a_name_fails_as_in_python() -> None:
    files = {
        "steps/x_step.py": "from one import a",
        "steps/one.py": "from two import b\na = 1",
        "steps/two.py": "from one import a\nb = 1",
    }
    with imported(ROOT, files) as importer, pytest.raises(ImportError, match="partially initialized"):
        importer.load("steps/x_step.py")


def test_a_file_and_a_folder_of_one_name_are_both_reached() -> None:
    files = {
        "steps/auth.py": "value = 'file'",
        "steps/auth/login_step.py": "from auth import value\nimport helper",
        "steps/auth/helper.py": "value = 'helper'",
        "steps/x_step.py": "import auth\nfrom auth.helper import value",
    }
    with imported(ROOT, files) as importer:
        login = importer.load("steps/auth/login_step.py")
        assert (login.value, login.helper.value) == ("file", "helper")
        module = importer.load("steps/x_step.py")
        assert (module.auth.value, module.value) == ("file", "helper")


def test_importing_a_dotted_name_binds_its_first_part() -> None:
    files = {
        "steps/a/x_step.py": "import lib.deep.er\nimport lib.deep.er as alias",
        "steps/a/lib/deep/er.py": "value = 8",
    }
    with imported(ROOT, files) as importer:
        module = importer.load("steps/a/x_step.py")
        assert module.lib.deep.er.value == 8
        assert module.alias is module.lib.deep.er


def test_star_imports_and_modules_out_of_packages_work() -> None:
    files = {
        "steps/x_step.py": "from lib import *\nfrom lib import deep",
        "steps/lib/__init__.py": "__all__ = ['one', 'other']\none = 1",
        "steps/lib/other.py": "value = 2",
        "steps/lib/deep.py": "value = 3",
    }
    with imported(ROOT, files) as importer:
        module = importer.load("steps/x_step.py")
        assert (module.one, module.other.value, module.deep.value) == (1, 2, 3)


def test_imports_inside_functions_are_the_same() -> None:
    files = {"steps/a/x_step.py": "def get():\n    import lib\n    return lib", "steps/a/lib.py": "value = 1"}
    with imported(ROOT, files) as importer:
        assert importer.load("steps/a/x_step.py").get().value == 1


def test_a_missing_module_is_reported_by_its_name() -> None:
    with (
        imported(ROOT, {"steps/x_step.py": "import surely_missing.deep"}) as importer,
        pytest.raises(ModuleNotFoundError, match="No module named 'surely_missing'"),
    ):
        importer.load("steps/x_step.py")


@pytest.mark.parametrize("lib", ["steps/a/lib.py", "steps/a/lib/__init__.py", "steps/a/lib/other.py"])
def test_a_missing_part_of_a_module_of_the_project_is_reported_as_such(lib: str) -> None:
    files = {"steps/a/x_step.py": "from lib.missing import x", lib: ""}
    with (
        imported(ROOT, files) as importer,
        pytest.raises(ModuleNotFoundError, match=r"'steps\.a\.lib\.missing'"),
    ):
        importer.load("steps/a/x_step.py")


def test_a_missing_import_inside_an_installed_package_is_not_mistaken_for_the_package() -> None:
    files = {"steps/x_step.py": "from json import surely_missing", "json/other.py": "x = 1"}
    with imported(ROOT, files) as importer, pytest.raises(ImportError, match="surely_missing"):
        importer.load("steps/x_step.py")


def test_sources_come_from_the_bytes_and_never_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    for name in ("x_step", "lib"):
        (tmp_path / "steps" / f"{name}.py").write_text("raise RuntimeError('from the disk')")
    files = {"steps/x_step.py": "from lib import value", "steps/lib.py": "value = 'from the bytes'"}
    with imported(tmp_path, files) as importer:
        assert importer.load("steps/x_step.py").value == "from the bytes"
    assert list(tmp_path.rglob("*.pyc")) == []


def test_data_files_lie_beside_file(tmp_path: Path) -> None:
    (tmp_path / "steps" / "a").mkdir(parents=True)
    (tmp_path / "steps" / "a" / "data.txt").write_text("hello")
    files = {
        "steps/a/x_step.py": """
            from pathlib import Path
            from importlib import resources
            text = (Path(__file__).parent / "data.txt").read_text()
            resource = resources.files("steps.a").joinpath("data.txt").read_text()
        """
    }
    with imported(tmp_path, files) as importer:
        module = importer.load("steps/a/x_step.py")
        assert (module.text, module.resource) == ("hello", "hello")


def test_tracebacks_and_inspect_show_the_source_that_runs(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "x_step.py").write_text("# changed\n" * 10)
    files = {"steps/x_step.py": "def fail():\n    raise ValueError('here')  # a comment\n"}
    with imported(tmp_path, files) as importer:
        module = importer.load("steps/x_step.py")
        with pytest.raises(ValueError, match="here") as caught:
            module.fail()
        assert "raise ValueError('here')  # a comment" in "".join(traceback.format_exception(caught.value))
        assert inspect.getsource(module.fail) == files["steps/x_step.py"]
        assert "a comment" in inspect.getsource(module)


def test_objects_of_project_classes_can_be_pickled() -> None:
    files = {"steps/a.b_step.py": "import typing\nclass X(typing.NamedTuple):\n    value: int = 1"}
    with imported(ROOT, files) as importer:
        thing = importer.load("steps/a.b_step.py").X()
        assert pickle.loads(pickle.dumps(thing)) == thing


def test_encoding_comments_and_byte_order_marks_are_honoured() -> None:
    files = {
        "steps/x_step.py": b"# -*- coding: latin-1 -*-\nvalue = '\xe9'\n",
        "steps/y_step.py": b"\xef\xbb\xbfvalue = '\xc3\xa9'\n",
    }
    with imported(ROOT, files) as importer:
        assert importer.load("steps/x_step.py").value == "é"
        assert importer.load("steps/y_step.py").value == "é"


def test_a_failed_import_is_tried_again_and_leaves_no_half_module() -> None:
    files = {"steps/x_step.py": "import bad", "steps/bad.py": "raise RuntimeError('bad')"}
    with imported(ROOT, files) as importer:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="bad"):
                importer.load("steps/x_step.py")
        assert "steps.bad" not in sys.modules
        assert "steps.x_step" not in sys.modules


def test_the_way_of_an_error_names_the_files_from_the_outermost_in() -> None:
    files = {"steps/x_step.py": "import one", "steps/one.py": "import two", "steps/two.py": "1 / 0"}
    with imported(ROOT, files) as importer:
        with pytest.raises(ZeroDivisionError) as caught:
            importer.load("steps/x_step.py")
        assert importer.way_of(caught.value) == ["steps/x_step.py", "steps/one.py", "steps/two.py"]
        assert importer.way_of(ValueError()) == []


def test_uninstalling_leaves_no_trace() -> None:
    before = (list(sys.path), list(sys.meta_path), __import__, set(sys.modules))
    with imported(ROOT, {"steps/x_step.py": "import lib", "steps/lib.py": ""}) as importer:
        importer.load("steps/x_step.py")
    assert (list(sys.path), list(sys.meta_path), __import__, set(sys.modules)) == before


def test_canonical_names_are_unique_and_keep_out_of_the_way_of_installed_ones() -> None:
    files = dict.fromkeys(
        [
            "steps/x.job_step.py",
            "steps/x/job_step.py",
            "a.py",
            "a/b.py",
            "json/x.py",
            "orjson.py",
            "steps/json.py",
        ],
        "",
    )
    found = sources(ROOT, files)
    names = {unit.path: unit.name for unit in found.by_path.values()}
    assert len(set(names.values())) == len(files)
    assert names["steps/x/job_step.py"] == "steps.x.job_step"
    assert names["a.py"] == "a"
    assert names["json/x.py"].startswith("project:json")
    assert names["orjson.py"] == "project:orjson"
    assert names["steps/json.py"] == "steps.json"


def test_files_of_other_languages_are_no_modules() -> None:
    assert sources(ROOT, {"steps/x.step.ts": "", "readme.md": ""}).by_name == {}
