"""Measures the house: files, lines, folders, circles of imports, function sizes.

`python -m tools.house` prints a table; `--list` names the places behind each number. It reads
the code as text and imports nothing of it.
"""

from __future__ import annotations

import argparse
import ast
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "movierec"


def main() -> None:
    """Print what `house` finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name the places behind each number")
    listed = parser.parse_args().list
    files = {module_name(path): path for path in sorted((ROOT / "src").rglob("*.py"))}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    imports = {name: set(imported(trees[name], name, files)) for name in files}
    for label, value, places in facts(files, trees, imports):
        print(f"{label:58} {value}")
        for place in places if listed else ():
            print(f"    {place}")


def facts(
    files: Mapping[str, Path],
    trees: Mapping[str, ast.Module],
    imports: Mapping[str, set[str]],
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each figure's name, its value and the places behind it."""
    lines = {name: lines_of(path) for name, path in files.items()}
    yield "files under src/", str(len(files)), []
    yield "median lines of a file", f"{statistics.median(lines.values()):.0f}", []
    longest = sorted(lines, key=lines.__getitem__, reverse=True)
    over = [f"{lines[name]} {name}" for name in longest if lines[name] > 300]
    yield "files of more than 300 lines", str(len(over)), over
    yield "lines under src/", str(sum(lines.values())), []
    tools = sum(lines_of(path) for path in (ROOT / "tools").rglob("*") if path.suffix == ".py")
    yield "lines of Python under tools/", str(tools), []
    folders = Counter(path.parent for path in files.values())
    ranked = [f"{count} {folder.relative_to(ROOT)}" for folder, count in folders.most_common()]
    yield "most files flat in one folder", ranked[0], ranked[1:10]
    knots = list(circles(imports))
    yield "circles of imports", str(len(knots)), [" <-> ".join(sorted(knot)) for knot in knots]
    only = sorted(imported_once(imports))
    yield "files imported by one sibling only", str(len(only)), only
    reads = [
        f"{name}:{line}"
        for name, tree in trees.items()
        if not name.startswith(f"{PACKAGE}.registry")
        for line in metadata_reads(tree)
    ]
    yield "reads of metadata by string key outside the registry", str(len(reads)), reads
    bodies = sorted(size for tree in trees.values() for size in function_sizes(tree))
    shape = f"{statistics.median(bodies):.0f} / {bodies[int(len(bodies) * 0.9)]}"
    yield "lines of a function's body, median / 90th percentile", shape, []
    comments = sum(
        line.strip().startswith("#")
        for path in files.values()
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    yield "lines of comments, per cent", f"{100 * comments / sum(lines.values()):.1f}", []


def module_name(path: Path) -> str:
    """Return the dotted name of a file under `src/`."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def lines_of(path: Path) -> int:
    """Return how many lines a file has."""
    return len(path.read_text(encoding="utf-8").splitlines())


def imported(tree: ast.Module, name: str, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that a module imports, wherever in it."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [full if full in files else node.module for full in inner]
        yield from (found for found in names if found in files and found != name)


def circles(imports: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield the sets of modules that import each other in a circle (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(name: str) -> Iterator[list[str]]:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports[name]:
            if other not in index:
                yield from visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            knot = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(knot) > 1:
                yield knot

    for name in imports:
        if name not in index:
            yield from visit(name)


def imported_once(imports: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield `file <- importer` where one file of the same folder is a file's only importer."""
    importers = defaultdict(set)
    for name, others in imports.items():
        for other in others:
            importers[other].add(name)
    for name, found in importers.items():
        only = next(iter(found))
        if len(found) == 1 and only.rpartition(".")[0] == name.rpartition(".")[0]:
            yield f"{name} <- {only}"


def metadata_reads(tree: ast.Module) -> Iterator[int]:
    """Yield the lines where `….metadata` is asked for a key, by `get` or by an index.

    So does its JSON, `….metadata.as_dict()`. That no variable is asked so is mypy's to see: the
    typed model has neither `get` nor an index.
    """
    for node in ast.walk(tree):
        target = None
        if isinstance(node, ast.Subscript):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value if node.func.attr == "get" else None
        if isinstance(target, ast.Call) and isinstance(target.func, ast.Attribute):
            target = target.func.value if target.func.attr == "as_dict" else None
        if isinstance(target, ast.Attribute) and target.attr == "metadata":
            yield target.lineno


def function_sizes(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of each function's body, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                yield (body[-1].end_lineno or 0) - body[0].lineno + 1


if __name__ == "__main__":
    main()
