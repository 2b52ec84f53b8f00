"""`headway completion`: writes the scripts with which bash, zsh and fish complete the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from headway.cli.arguments.parser import COMMANDS
from headway.cli.command_line import Command, Option, commands
from headway.cli.failures import DONE

_IMAGES = "images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null"
_PULLS = "pulls --all --quiet 2>/dev/null"
_GLOBAL = ("-H", "--host", "--data-root", "--config-file")


def completion(options: Namespace) -> int:
    """Print the script for a shell."""
    print(script(options.shell), end="")
    return DONE


def script(shell: str) -> str:
    """Return the script for ``bash``, ``zsh`` or ``fish``."""
    offered = [command for command in commands() if COMMANDS[command.name].summary]
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](offered)
    return "".join(f"{line}\n" for line in lines)


def _completes(command: Command) -> str:
    """Return what completes the arguments of a command: a command that prints words, or nothing for files.

    It is for the store that the words before it name: what those are, each shell has to say. The first place decides:
    a name behind it is a new one.
    """
    if command.name == "pulls":
        return _PULLS
    return _IMAGES if any("NAME" in place or place == "SRC" for place in command.places[:1]) else ""


def _takes_paths(command: Command) -> bool:
    return any(kind in place for place in command.places for kind in ("DIR", "FILE"))


# --- bash ---


def _bash(known: list[Command]) -> Iterator[str]:
    names = " ".join(name for command in known for name in (command.name, *command.aliases))
    yield "# bash completion for headway; written by `headway completion bash`"
    yield "_headway() {"
    yield '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" words="" i'
    yield "    local value store=()"
    yield "    for ((i = 1; i < COMP_CWORD; i++)); do"
    yield '        case "${COMP_WORDS[i]}" in'
    yield f"            {'|'.join(_GLOBAL)})"
    yield '                store+=("${COMP_WORDS[i]}"); ((i++))'
    yield "                [[ ${COMP_WORDS[i]} == = ]] && ((i++))  # bash takes addresses apart at each = and :"
    yield '                value="${COMP_WORDS[i]}"'
    yield '                while [[ ${COMP_WORDS[i+1]} == : ]]; do value+=":${COMP_WORDS[i+2]}"; ((i += 2)); done'
    yield '                [[ $value == "~/"* ]] && value="$HOME/${value#"~/"}"'
    yield '                store+=("$value") ;;'
    yield "            image | -*) ;;"
    yield '            *) command="${COMP_WORDS[i]}"; break ;;'
    yield "        esac"
    yield "    done"
    yield '    case "$command:$prev" in'
    yield f"        {'|'.join(f':{name}' for name in _GLOBAL)}) return ;;"
    for command in known:
        yield from _bash_values(command)
    yield "    esac"
    yield '    case "$command" in'
    yield f"        '') words=\"{names} {' '.join(_GLOBAL)}\" ;;"
    for command in known:
        options = " ".join(name for option in command.options for name in option.names)
        called = "|".join((command.name, *command.aliases))
        yield f'        {called}) if [[ $cur == -* ]]; then words="{options}"; else {_bash_places(command)}; fi ;;'
    yield "    esac"
    yield '    COMPREPLY+=($(compgen -W "$words" -- "$cur"))'
    yield '    if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi'
    yield "}"
    yield "complete -o default -F _headway headway  # where it offers nothing, bash offers files"


def _bash_places(command: Command) -> str:
    words = " ".join(command.choices)
    if completes := _completes(command):
        return f'words="{words} $(headway "${{store[@]}}" {completes})"'
    return f'words="{words}"'


def _bash_values(command: Command) -> Iterator[str]:
    """Yield the cases of options that take a value: one of a few words, or a file name, which bash offers by itself."""
    for option in (each for each in command.options if each.value):
        called = "|".join(f"{name}:{flag}" for name in (command.name, *command.aliases) for flag in option.names)
        offer = f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur")); ' if option.choices else ""
        yield f"        {called}) {offer}return ;;"


# --- zsh ---


def _zsh(known: list[Command]) -> Iterator[str]:
    yield "#compdef headway"
    yield "# zsh completion for headway; written by `headway completion zsh`"
    for what, words in (("image", _IMAGES), ("pull", _PULLS)):
        yield f"_headway_{what}s() {{"
        yield f'    local -a found; found=(${{(f)"$(headway $store {words})"}}); compadd -a found'
        yield "}"
    yield "_headway() {"
    yield "    local -a commands store"
    yield "    commands=("
    for command in known:
        for name in (command.name, *command.aliases):
            yield f"        {_quoted(f'{name}:{command.help}')}"
    yield "    )"
    yield "    local curcontext=$curcontext state line"
    yield "    _arguments -C '(-H --host)'{-H,--host}'[the daemon to use]:address:' \\"
    yield "        '--data-root[the directory of images and downloads]:directory:_files -/' \\"
    yield "        '--config-file[the settings file]:file:_files' '1:command:->command' '*::argument:->argument'"
    yield "    case $state in"
    yield "        command) _describe command commands ;;"
    yield "        argument)"
    yield f"            for line in {' '.join(_GLOBAL)}; do"
    yield '                (( ${+opt_args[$line]} )) && store+=("$line" "${(Q)opt_args[$line]}")'
    yield "            done"
    yield "            case $words[1] in"
    for command in known:
        yield f"                {'|'.join((command.name, *command.aliases))}) _arguments \\"
        for option in command.options:
            yield from (f"                    {word} \\" for word in _zsh_option(option))
        yield f"                    {_zsh_places(command)} ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "}"
    yield '_headway "$@"'


def _zsh_option(option: Option) -> Iterator[str]:
    text = option.help.replace("[", "(").replace("]", ")").replace(":", " -")
    values = f"({' '.join(option.choices)})" if option.choices else "_files"
    value = f":{option.value.replace(':', ' ')}:{values}" if option.value else ""
    for name in option.names:
        yield _quoted(f"*{name}[{text}]{value}")


def _zsh_places(command: Command) -> str:
    if command.choices:
        rest = "_headway_pulls" if command.name == "pulls" else "_files"
        return f"'1:what:({' '.join(command.choices)})' '*:which:{rest}'"
    if not _completes(command):
        return "'*:file:_files'"
    return "'*:image or path:{_headway_images; _files}'" if _takes_paths(command) else "'*:image:_headway_images'"


# --- fish ---


def _fish(known: list[Command]) -> Iterator[str]:
    yield "# fish completion for headway; written by `headway completion fish`"
    yield "complete -c headway -f"
    yield "function __headway_store"
    yield "    set -l words (commandline -opc)"
    yield "    set -l i 2"
    yield "    while test $i -lt (count $words)"
    yield "        switch $words[$i]"
    yield f"            case {' '.join(_GLOBAL)}"
    yield "                printf '%s\\n' $words[$i] $words[(math $i + 1)]"
    yield "                set i (math $i + 1)"
    yield "            case '-*' image"
    yield "            case '*'"
    yield "                return"
    yield "        end"
    yield "        set i (math $i + 1)"
    yield "    end"
    yield "end"
    for command in known:
        for name in (command.name, *command.aliases):
            yield f"complete -c headway -n __fish_use_subcommand -a {name} -d {_quoted(command.help)}"
        seen = f"-n '__fish_seen_subcommand_from {' '.join((command.name, *command.aliases))}'"
        for option in command.options:
            yield f"complete -c headway {seen} {_fish_option(option)}"
        if command.choices:
            yield f"complete -c headway {seen} -a {_quoted(' '.join(command.choices))}"
        if completes := _completes(command):
            yield f'complete -c headway {seen} -a "(headway (__headway_store) {completes})"'
        if _takes_paths(command):
            yield f"complete -c headway {seen} -F"


def _fish_option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    value = f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r -F" if option.value else ""
    return f"{names}{value} -d {_quoted(option.help)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
