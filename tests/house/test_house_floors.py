"""The house: three packages, imports only downward, held here without any tool but the standard library."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = {"certs": 1, "meterlink": 2, "hil": 3}
PEERS = {"gurux_dlms", "dlms_cosem", "pydlms", "meterbus", "pymbusparser", "pymeterbus"}
SOURCES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level names that a source file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    floor = FLOORS[path.relative_to(ROOT).parts[0]]
    upward = {name for name in imported(path) if FLOORS.get(name, 0) > floor}
    assert not upward


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_peer_is_imported_by_the_product(path: Path) -> None:
    assert not imported(path) & PEERS


def test_the_three_packages_have_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(FLOORS)
