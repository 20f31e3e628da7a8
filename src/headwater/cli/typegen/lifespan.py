"""The type of `ctx.app`: what a project's lifespan yields, as its own file says it. Reads that file, runs
nothing of it.

TypeScript infers it from the file's export. In Python the annotation of `lifespan` says it; without one it is
`Any`. Where there is no such file, nothing is yielded.
"""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from typing import NamedTuple

NAME = "headwater_lifespan"
_SCRIPTS = {".ts": ".js", ".mts": ".mjs", ".cts": ".cjs"}
"""What TypeScript wants to read in an import of each."""
_UNTYPED = (".js", ".mjs", ".cjs", ".tsx", ".jsx")

_INFERRED = """\
type YieldedBy<Lifespan> = Lifespan extends (...given: never[]) => Generator<infer App, any, any> ? App
  : Lifespan extends (...given: never[]) => AsyncGenerator<infer App, any, any> ? App : any
type LifespanOf<Module> = Module extends { lifespan: infer Lifespan } ? Lifespan
  : Module extends { default: infer Lifespan } ? Lifespan : never
/** What the `lifespan` of %s yields. */
export type App = YieldedBy<LifespanOf<typeof import('./%s')>>
"""


def typescript_app(root: Path) -> str:
    """The declaration of `App`."""
    for suffix, imported in _SCRIPTS.items():
        if (root / f"{NAME}{suffix}").exists():
            return _INFERRED % (f"{NAME}{suffix}", f"{NAME}{imported}")
    untyped = any((root / f"{NAME}{suffix}").exists() for suffix in _UNTYPED)
    return f"export type App = {'any' if untyped else 'undefined'}\n"


class PythonApp(NamedTuple):
    """A type as a stub writes it, and the import that it needs, if any."""

    written: str
    importing: str = ""


def python_app(root: Path) -> PythonApp:
    """The type of `ctx.app`."""
    file = root / f"{NAME}.py"
    try:
        module = ast.parse(file.read_bytes())
    except FileNotFoundError:
        return PythonApp("None")
    except (OSError, SyntaxError, ValueError):
        return PythonApp("Any")
    for statement in module.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == "lifespan":
            element = _element(statement.returns)
            if element is not None:
                return PythonApp(ast.unparse(_Qualified().visit(element)), f"import {NAME} as _{NAME}")
    return PythonApp("Any")


def _element(annotation: ast.expr | None) -> ast.expr | None:
    """What is yielded, of `AsyncIterator[X]`, `AsyncGenerator[X, None]` and the like; None for anything
    else."""
    annotation = _unquoted(annotation)
    if not isinstance(annotation, ast.Subscript):
        return None
    generic = annotation.value
    name = generic.attr if isinstance(generic, ast.Attribute) else getattr(generic, "id", "")
    if not name.endswith(("Iterator", "Generator", "Iterable", "ContextManager")):
        return None
    inner = annotation.slice
    return _unquoted(inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return None
    return annotation


class _Qualified(ast.NodeTransformer):
    """Writes names of the lifespan's module as a stub beside it reaches them."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value).endswith("Literal"):  # Its texts are values.
            return ast.Subscript(self.visit(node.value), node.slice, ast.Load())
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        written = _unquoted(node)
        return node if written is None or written is node else self.visit(written)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if hasattr(builtins, node.id):
            return node
        return ast.Attribute(ast.Name(f"_{NAME}", ast.Load()), node.id, ast.Load())
