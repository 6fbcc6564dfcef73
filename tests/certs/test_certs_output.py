"""The rendering that all commands share: results, errors, warnings and usage in one form."""

import errno

import click
import pytest
from certs_support import cli

from certs.cli import output
from certs.errors import CertsError

STEERING = "HEAT\x1b]0;pwned\x07\u202e"
"""A name that would steer a terminal, and turn the direction of writing."""


@click.group()
def program() -> None:
    """A program to try the rendering on."""


@program.command()
@click.argument("kind")
@output.json_option
def fail(kind: str) -> None:
    match kind:
        case "ours":
            raise CertsError("some-code", "what happened", "what to do")
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device", "/a/file")
        case "absent":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/a/file")
        case "odd":
            raise OSError("odd")
        case "bug":
            raise RuntimeError("the secret is 1234")
        case "stop":
            raise KeyboardInterrupt
        case "click":
            raise click.ClickException("from click")
        case "exit":
            click.get_current_context().exit(5)
        case "confirm":
            output.confirm("Really?", yes=False)
        case "steering":
            output.note(f"heard: {STEERING}")
            output.warn("odd-name", STEERING, "a hint\nin two lines")
            output.emit({"name": STEERING}, output.table(("Name",), [(STEERING,)]))
            raise CertsError("odd-name", f"{STEERING} is not known", "what to do")
        case _:
            output.note("a remark")
            output.emit({"kind": kind}, "[bold]not markup[/bold]")


@pytest.mark.parametrize(
    ("kind", "status", "code_"),
    [("ours", 4, "some-code"), ("disk", 1, "disk-full"), ("absent", 2, "file"), ("odd", 1, "file"),
     ("bug", 1, "internal"), ("stop", 130, "interrupted"), ("click", 2, "usage"),
     ("confirm", 2, "confirmation-needed")],
)  # fmt: skip
def test_errors_have_one_form(kind: str, status: int, code_: str) -> None:
    human, as_json = cli("fail", kind, group=program), cli("fail", kind, "--json", group=program)
    assert (human.status, as_json.status) == (status, status)
    assert human.err.lstrip().startswith(f"error: {code_}: ")
    assert (human.out, as_json.out) == ("", "")
    assert as_json.error["code"] == code_
    assert set(as_json.error) == {"code", "message", "hint"}
    assert "Traceback" not in human.err
    assert "1234" not in human.err + as_json.err
    assert ("hint: " in human.err) is (as_json.error["hint"] is not None)


def test_results_have_one_form() -> None:
    human, as_json = cli("fail", "none", group=program), cli("fail", "none", "--json", group=program)
    assert (human.out, human.err) == ("[bold]not markup[/bold]\n", "a remark\n")
    assert (as_json.json, as_json.err) == ({"kind": "none"}, "")
    assert cli("fail", "exit", group=program).status == 5


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_a_name_from_outside_steers_no_terminal(json: tuple[str, ...]) -> None:
    ran = cli("fail", "steering", *json, group=program)
    assert ran.status == 4
    for shown in (ran.out, ran.err):
        assert shown.replace("\n", "").isprintable()
        assert "HEAT\\u001b" in shown
    assert ("hint: a hint\nin two lines\n" in ran.err) is not bool(json)


def test_usage_errors_and_help() -> None:
    ran = cli("fail", "--nonsense", group=program)
    assert (ran.status, ran.err.splitlines()[0]) == (2, "error: usage: No such option '--nonsense'.")
    assert "--help" in ran.err
    assert cli("nothing", "--json", group=program).error["code"] == "usage"
    ran = cli(group=program)
    assert (ran.status, "Usage:" in ran.err) == (2, True)
    ran = cli("--help", group=program)
    assert (ran.status, "A program to try" in ran.out) == (0, True)


def test_a_traceback_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLINK_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli("fail", "bug", group=program)
