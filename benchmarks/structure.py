"""Count modules, rooms and the arrows between them, for one checkout or several side by side.

Run with ``python benchmarks/structure.py [CHECKOUT ...]``; without a checkout it is the one that this file lies in.
``--list`` names what was counted, ``--rooms-of plugin inference`` looks into folders as well, and ``--parameter NAME``
says which files know a parameter. A Markdown table goes to the standard output. Sources are read, never imported.

A room is a folder or module of the package; "one level deeper" a folder in a room is a room of its own, and the loose
modules beside it stay one. An arrow goes from the importing room to the imported one, however many imports it stands
for. Imports at the top of a module, inside functions and under ``TYPE_CHECKING`` are told apart; names loaded by
``import_module`` are not seen, nor is the package itself (``from napari_unetseg import __version__``). Arrows up are
those that have to go, at least, for the rooms of a circle to have an order; of as few arrows, those of the fewest
imports.
"""

import argparse
import ast
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "napari_unetseg"
KINDS = ("at import", "in functions", "for types")
SMALL, LARGE = 50, 400
MAX_ORDERED = 16
"""Rooms of one circle whose best order is looked for; it takes two to the power of as many steps."""

Arrow = tuple[str, str]
Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Module:
    """One source file: its place in the package without suffix, its text, and what it imports by kind."""

    parts: tuple[str, ...]
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """``plugin.widget``; a folder's own name for its ``__init__.py``."""
        return ".".join(part for part in self.parts if part != "__init__")

    @property
    def lines(self) -> int:
        """Lines of the file."""
        return len(self.text.splitlines())


def read_modules(checkout: Path) -> dict[str, Module]:
    """Read all modules of the package in a checkout, by name; the package's own is ``""``."""
    package = checkout / "src" / PACKAGE
    found = [
        Module(path.relative_to(package).with_suffix("").parts, path, path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    ]
    if not found:
        raise SystemExit(f"{checkout}: has no src/{PACKAGE}.")
    return {module.name: module for module in found}


def imports(module: Module) -> Iterator[tuple[str, str]]:
    """Yield the kind and the full dotted name of everything that a module imports."""

    def walk(node: ast.AST, kind: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Import):
            yield from ((kind, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((kind, f"{_source(module, node)}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.If) and _is_for_types(node):
            for line in node.body:
                yield from walk(line, "for types")
            for line in node.orelse:
                yield from walk(line, kind)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            inside = "in functions" if is_function and kind == "at import" else kind
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside)

    return walk(module.tree, "at import")


def _is_for_types(node: ast.If) -> bool:
    return (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING") or (
        isinstance(node.test, ast.Attribute) and node.test.attr == "TYPE_CHECKING"
    )


def _source(module: Module, node: ast.ImportFrom) -> str:
    """Return the dotted name after ``from``; a relative one is read from the module's place."""
    if not node.level:
        return node.module or ""
    above = (PACKAGE, *module.parts)[: -node.level]
    return ".".join((*above, node.module) if node.module else above)


def module_arrows(modules: dict[str, Module]) -> dict[str, list[Arrow]]:
    """Return the imports between modules of the package by kind, one for each pair of modules and kind."""
    found: dict[str, set[Arrow]] = {kind: set() for kind in KINDS}
    for module in modules.values():
        for kind, full in imports(module):
            target = _within(full, modules)
            if target and target != module.name:
                found[kind].add((module.name, target))
    return {kind: sorted(arrows) for kind, arrows in found.items()}


def _within(full: str, modules: dict[str, Module]) -> str:
    """Return the module that an imported name lies in; "" for what is not of the package, or the package's own."""
    package, _, name = full.partition(".")
    if package != PACKAGE:
        return ""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def room_at_top(module: Module) -> str:
    """Return the folder or module right in the package; the package's own is ``__init__``."""
    return module.parts[0]


def room_deeper(module: Module) -> str:
    """Return the folder two levels deep, or else what there is at the top."""
    return "/".join(module.parts[:2]) if len(module.parts) > 2 else module.parts[0]


def room_within(folder: str) -> Callable[[Module], str]:
    """Return what gives a module's room inside a folder, "" for modules outside of it."""
    above = tuple(folder.strip("/").split("/"))

    def room(module: Module) -> str:
        inside = module.parts[: len(above)] == above and len(module.parts) > len(above)
        return module.parts[len(above)] if inside else ""

    return room


@dataclass(frozen=True)
class Plan:
    """Rooms, and for each kind of import the arrows between them with the module imports each stands for."""

    rooms: dict[str, list[Module]]
    arrows: dict[str, dict[Arrow, list[Arrow]]]

    def graph(self, *kinds: str) -> Graph:
        """Return which rooms each one imports, by any of these kinds."""
        graph: Graph = {room: set() for room in self.rooms}
        for kind in kinds:
            for start, end in self.arrows[kind]:
                graph[start].add(end)
        return graph

    def imports(self, *kinds: str) -> dict[Arrow, int]:
        """Return how many module imports of these kinds each arrow stands for."""
        return dict(Counter(arrow for kind in kinds for arrow, stands in self.arrows[kind].items() for _ in stands))

    def imports_of(self, arrow: Arrow) -> list[Arrow]:
        """Return the module imports that an arrow stands for."""
        return sorted({one for kind in KINDS for one in self.arrows[kind].get(arrow, ())})


def draw_plan(modules: dict[str, Module], arrows: dict[str, list[Arrow]], room_of: Callable[[Module], str]) -> Plan:
    """Put modules into rooms."""
    rooms = {name: room_of(module) for name, module in modules.items()}
    drawn: dict[str, dict[Arrow, list[Arrow]]] = {}
    for kind, pairs in arrows.items():
        drawn[kind] = defaultdict(list)
        for start, end in pairs:
            if rooms[start] and rooms[end] and rooms[start] != rooms[end]:
                drawn[kind][rooms[start], rooms[end]].append((start, end))
    named = sorted({room for room in rooms.values() if room})
    return Plan({room: [modules[name] for name, its in rooms.items() if its == room] for room in named}, drawn)


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of more than one node in which each reaches each (strongly connected components)."""
    reached = {node: _reach(graph, node) for node in graph}
    groups = {tuple(sorted(end for end in reached[node] if node in reached[end])) for node in graph}
    return sorted((list(group) for group in groups if len(group) > 1), key=lambda group: (-len(group), group))


def _reach(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for end in graph[waiting.pop()] - seen:
            seen.add(end)
            waiting.append(end)
    return seen


def arrows_up(imports_of: dict[Arrow, int], circle: list[str]) -> list[Arrow] | None:
    """Return the fewest arrows without which a circle is none; None where it is too large to try every order.

    Parameters
    ----------
    imports_of
        How many imports each arrow stands for.
    circle
        Rooms of which each reaches each.
    """
    if len(circle) > MAX_ORDERED:
        return None
    # Cost of a room below (first index) that imports one above it: arrows count before imports.
    cost = [[1_000_000 + imports_of[s, e] if (s, e) in imports_of else 0 for e in circle] for s in circle]
    # For each set of rooms that may stand at the bottom: the least cost within it, and its topmost room.
    best: dict[int, tuple[int, int]] = {0: (0, -1)}
    for placed in range(1, 1 << len(circle)):
        members = [n for n in range(len(circle)) if placed >> n & 1]
        options = ((best[placed ^ 1 << top][0] + sum(cost[n][top] for n in members), top) for top in members)
        best[placed] = min(options)
    order: list[str] = []
    left = (1 << len(circle)) - 1
    while left:
        top = best[left][1]
        order.insert(0, circle[top])
        left ^= 1 << top
    return [(start, end) for n, start in enumerate(order) for end in order[n + 1 :] if (start, end) in imports_of]


def public_names(module: Module) -> set[str]:
    """Return the classes, functions, constants and type names that a module defines for others."""

    def walk(body: Iterable[ast.stmt]) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (target.id for target in targets if isinstance(target, ast.Name) and target.id[0].isupper())
            elif isinstance(node, ast.If | ast.Try):
                handlers = [line for handler in getattr(node, "handlers", []) for line in handler.body]
                yield from walk((*node.body, *handlers, *node.orelse))

    return {name for name in walk(module.tree.body) if not name.startswith("_")}


def repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what comes more than once, with the places where it does."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, place in pairs:
        places[name].append(place)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def mentions(module: Module, name: str) -> tuple[int, int]:
    """Return how often a module has a name as an identifier, and as the whole of a string."""
    as_name = as_text = 0
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant):
            as_text += node.value == name
        else:
            as_name += sum(value == name for _, value in ast.iter_fields(node) if isinstance(value, str))
    return as_name, as_text


@dataclass
class Counts:
    """What was counted in one checkout: a row for each count, and a list for each heading."""

    rows: dict[str, str]
    lists: dict[str, list[str]]


def count_sizes(modules: dict[str, Module], counts: Counts) -> None:
    """Count modules and lines."""
    lines = [module.lines for module in modules.values()]
    small = [module for module in modules.values() if module.lines < SMALL]
    large = sorted((module for module in modules.values() if module.lines > LARGE), key=lambda module: -module.lines)
    counts.rows |= {
        "modules": f"{len(lines)}",
        "lines": f"{sum(lines)}",
        "lines a module, median": f"{statistics.median(lines):g}",
        "lines a module, mean": f"{statistics.mean(lines):.1f}",
        f"modules under {SMALL} lines": f"{len(small)}",
        f"modules under {SMALL} lines, `__init__.py` aside": f"{sum(m.parts[-1] != '__init__' for m in small)}",
        f"modules over {LARGE} lines": f"{len(large)}",
    }
    counts.lists[f"modules over {LARGE} lines"] = [f"`{module.name}` {module.lines}" for module in large]


def count_plan(title: str, plan: Plan, counts: Counts) -> None:
    """Count rooms, arrows, circles and arrows up of one level."""
    sets = {kind: set(plan.arrows[kind]) for kind in KINDS}
    counts.rows |= {
        f"{title}: rooms": f"{len(plan.rooms)}",
        f"{title}: arrows at import": f"{len(sets['at import'])}",
        f"{title}: more arrows in functions": f"{len(sets['in functions'] - sets['at import'])}",
        f"{title}: more arrows for types": f"{len(sets['for types'] - sets['at import'] - sets['in functions'])}",
    }
    for kinds, words in ((KINDS[:1], "at import"), (KINDS[:2], "at import and in functions"), (KINDS, "of any kind")):
        found = circles(plan.graph(*kinds))
        up = [arrows_up(plan.imports(*kinds), circle) for circle in found]
        known = [arrow for arrows in up if arrows is not None for arrow in arrows]
        told = f"{len(known)}" if None not in up else "too large to say"
        counts.rows[f"{title}: circles {words} (their rooms), arrows up"] = f"{_sizes(found)}, {told}"
    graph = plan.graph("at import")
    counts.lists[f"{title}: rooms (modules, lines), and what they import"] = [
        f"`{room}` ({len(inside)}, {sum(one.lines for one in inside)}): {', '.join(sorted(graph[room])) or 'none'}"
        for room, inside in plan.rooms.items()
    ]
    # What was found last is by imports of all kinds.
    counts.lists[f"{title}: circles of any kind"] = [", ".join(f"`{room}`" for room in circle) for circle in found]
    counts.lists[f"{title}: arrows up in them"] = [
        f"`{start}` -> `{end}`: "
        + "; ".join(f"`{one}` imports `{other}`" for one, other in plan.imports_of((start, end)))
        for start, end in known
    ]


def _sizes(found: list[list[str]]) -> str:
    return f"{len(found)} ({', '.join(str(len(circle)) for circle in found)})" if found else "0"


def count_modules_in_circles(modules: dict[str, Module], arrows: dict[str, list[Arrow]], counts: Counts) -> None:
    """Count imports between modules, and the circles among them."""
    plan = draw_plan(modules, arrows, lambda module: module.name or PACKAGE)
    counts.rows["modules: arrows at import, in functions, for types"] = ", ".join(f"{len(arrows[k])}" for k in KINDS)
    for kinds, words in ((KINDS[:1], "at import"), (KINDS[:2], "at import and in functions"), (KINDS, "of any kind")):
        found = circles(plan.graph(*kinds))
        counts.rows[f"modules: circles {words} (their modules)"] = _sizes(found)
        counts.lists[f"modules: circles {words}"] = [", ".join(f"`{name}`" for name in circle) for circle in found]


def count_names(modules: dict[str, Module], counts: Counts) -> None:
    """Count file names and public names that are there more than once."""
    files = repeated(
        (module.path.name, "/".join(module.parts)) for module in modules.values() if module.parts[-1] != "__init__"
    )
    names = repeated((name, module.name) for module in modules.values() for name in sorted(public_names(module)))
    for title, found in (("file names used more than once", files), ("public names defined more than once", names)):
        counts.rows[title] = f"{len(found)} ({sum(map(len, found.values()))} places)" if found else "0"
        counts.lists[title] = [
            f"`{name}`: {', '.join(f'`{place}`' for place in places)}" for name, places in found.items()
        ]


def count_parameter(name: str, modules: dict[str, Module], counts: Counts) -> None:
    """Count the files that know a parameter."""
    found = {"/".join(module.parts): mentions(module, name) for module in modules.values()}
    as_name = {place: names for place, (names, _) in found.items() if names}
    only_text = {place: texts for place, (names, texts) in found.items() if texts and not names}
    counts.rows[f"files with `{name}` as an identifier (times)"] = f"{len(as_name)} ({sum(as_name.values())})"
    counts.rows["files more with it as a string alone (times)"] = f"{len(only_text)} ({sum(only_text.values())})"
    by_times = sorted(Counter(as_name).items(), key=lambda one: (-one[1], one[0]))
    counts.lists[f"files with `{name}`"] = [f"`{place}` {times}" for place, times in by_times] + [
        f"`{place}` {times}, as a string" for place, times in sorted(only_text.items())
    ]


def count(checkout: Path, folders: list[str], parameter: str) -> Counts:
    """Count everything in a checkout."""
    modules, counts = read_modules(checkout), Counts({}, {})
    arrows = module_arrows(modules)
    count_sizes(modules, counts)
    count_plan("top", draw_plan(modules, arrows, room_at_top), counts)
    count_plan("one level deeper", draw_plan(modules, arrows, room_deeper), counts)
    for folder in folders:
        count_plan(folder, draw_plan(modules, arrows, room_within(folder)), counts)
    count_modules_in_circles(modules, arrows, counts)
    count_names(modules, counts)
    count_parameter(parameter, modules, counts)
    return counts


def main() -> None:
    """Count and print."""
    say = sys.stdout.write
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", metavar="CHECKOUT", type=Path, nargs="*", default=[Path(__file__).parents[1]])
    parser.add_argument("--rooms-of", metavar="FOLDER", nargs="+", default=[], help="folders to look into as well")
    parser.add_argument("--parameter", metavar="NAME", default="min_confidence", help="whose files are counted")
    parser.add_argument("--list", action="store_true", help="name what was counted")
    arguments = parser.parse_args()
    found = [count(checkout, arguments.rooms_of, arguments.parameter) for checkout in arguments.checkouts]
    say("| | " + " | ".join(checkout.resolve().name for checkout in arguments.checkouts) + " |\n")
    say("| --- |" + " ---: |" * len(found) + "\n")
    for row in found[0].rows:
        say(f"| {row} | " + " | ".join(counts.rows[row] for counts in found) + " |\n")
    for checkout, counts in zip(arguments.checkouts, found, strict=True) if arguments.list else ():
        say(f"\n## {checkout.resolve().name}\n")
        for title, lines in counts.lists.items():
            say(f"\n{title}:\n\n" + "\n".join(f"* {line}" for line in lines or ["none"]) + "\n")


if __name__ == "__main__":
    main()
