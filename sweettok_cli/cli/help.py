"""Help: as wide as the terminal, in colour where there is one, options in groups; and ``sweettok help``.

Typer's own coloured help imports a Markdown parser and a syntax highlighter, which take longer than all else
that `sweettok --help` does, and would lose the lines of examples. So its plain text is painted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from typer import Argument
from typer.core import TyperCommand, TyperGroup

_OWN = "Options"
#: The groups that options stand in, by their names; a command's own are first.
GROUPS = {
    "Output": ("--output", "--out", "--force", "--skip-existing", "--csv", "--markdown", "--report"),
    "Model": ("--model", "--device", "--dtype", "--batch-clips", "--overlap", "--sample"),
    "General": ("--json", "--quiet", "--version", "--install-completion", "--show-completion", "--help"),
}
_GROUP_OF = {name: title for title, names in GROUPS.items() for name in names}

_WIDEST_TERM = 30  # beyond it, what describes an option begins on the next line

# What is painted, and how (ECMA-48, SGR).
_PAINT = (
    (re.compile(r"^(?:Usage|[A-Z][a-z]+|  Examples)(?=:)", re.M), "1;33"),
    (re.compile(r"^ {4,}sweettok .*(?:\\\n.*)*", re.M), "32"),
    (re.compile(r"(?<=^  )(?:-.*?(?=  |$)|\S+(?: \S+)*(?=   *\S))", re.M), "36"),  # options and commands
    (re.compile(r"\[(?:default|required|x[<>]|\d+<)[^\]]*\]"), "2"),
)


class App(typer.Typer):
    """A command of commands, all of whose help is laid out here."""

    def __init__(self, **settings: Any) -> None:
        context = {
            "help_option_names": ["-h", "--help"],
            "max_content_width": 1000,
        }  # the terminal's, that is
        super().__init__(
            cls=Group, no_args_is_help=True, rich_markup_mode=None, context_settings=context, **settings
        )

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """As :meth:`typer.Typer.command`."""
        return super().command(name, **{"cls": Command, **settings})


class Command(TyperCommand):
    """A command whose options are listed in groups, and of which only what is alike is suggested."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does; but an option is not alike for its dashes, as --force would be to --metrics."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            possible = getattr(error, "possibilities", None)
            if possible:
                import difflib

                names = {name.lstrip("-"): name for name in possible}
                wanted = error.option_name.lstrip("-")  # type: ignore[attr-defined]
                error.possibilities = [  # type: ignore[attr-defined]
                    names[name] for name in difflib.get_close_matches(wanted, names, cutoff=0.7)
                ]
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one list a group, all of them as wide."""
        _write_groups(self.get_params(ctx), ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """The help, painted for a terminal."""
        return painted(super().get_help(ctx))


def with_others(**others: App) -> type[Command]:
    """A command that is one of itself, and by the names of ``others``, written behind its own, is theirs.

    Each is an app of one command.
    """

    class Several(Command):
        @property
        def commands(self) -> dict[str, Any]:
            """The others, by name."""
            return {name: typer.main.get_command(other) for name, other in others.items()}

        def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
            """As Typer does, for the command that is meant."""
            if args and args[0] in others:
                own, name = self.commands[args[0]], f"{info_name} {args[0]}"
                return own.make_context(name, args[1:], parent=parent, **extra)
            return super().make_context(info_name, args, parent=parent, **extra)

    return Several


class Group(TyperGroup):
    """A command of commands."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        _write_groups(self.get_params(ctx), ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """The help, painted for a terminal."""
        return painted(super().get_help(ctx))


def show_help(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None, Argument(help="Of which command.", metavar="[COMMAND]", show_default=False)
    ] = None,
) -> None:
    """Show what a command does and takes, as its --help.

    Examples:

        sweettok help encode

        sweettok help models pull
    """
    found: Any = ctx.find_root()
    for name in command or []:
        known = getattr(found.command, "commands", {})
        if name not in known:
            import difflib

            like = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {like[0]}?" if like else f"there are {', '.join(known)}." if known else ""
            raise typer.BadParameter(
                f"{found.command_path} has no command {name!r}" + (f"; {hint}" if hint else ".")
            )
        # What stands beside a command is no part of it, and lacks its arguments.
        beside = not isinstance(found.command, Group)
        above, title = (found.parent, f"{found.info_name} {name}") if beside else (found, name)
        found = type(ctx)(known[name], info_name=title, parent=above)
    typer.echo(found.get_help())


def painted(text: str) -> str:
    """The text with colours, if stdout is a terminal that shows them and the user wants any (NO_COLOR)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    for pattern, colour in _PAINT:
        text = pattern.sub(lambda found, colour=colour: f"\x1b[{colour}m{found[0]}\x1b[0m", text)  # type: ignore[misc]
    return text


def _write_groups(params: Iterable[Any], ctx: Any, formatter: Any) -> None:
    rows: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", _OWN, *GROUPS)}
    for param in params:
        if record := param.get_help_record(ctx):
            names = [_GROUP_OF[name] for name in param.opts if name in _GROUP_OF]
            rows["Arguments" if param.param_type_name == "argument" else (*names, _OWN)[0]].append(record)
    width = max((min(len(term), _WIDEST_TERM) for each in rows.values() for term, _ in each), default=0)
    for title, each in rows.items():
        if each:
            with formatter.section(title):
                formatter.write_dl([(term.ljust(width), text) for term, text in each], col_max=_WIDEST_TERM)
