/** Completion scripts for bash, zsh and fish, made from the program itself so that they cannot fall behind it. */
import type { Command } from 'commander'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

interface CommandWords {
  readonly name: string
  readonly description: string
  readonly options: readonly { flag: string; description: string; choices: readonly string[]; takesFile: boolean }[]
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = program.commands.map(wordsOf)
  return { bash, zsh, fish }[shell](commands)
}

function wordsOf(command: Command): CommandWords {
  const options = [
    ...command.options.map((option) => ({
      flag: option.long ?? option.short ?? '',
      description: option.description,
      choices: option.argChoices ?? [],
      takesFile: /<(file|dir)>/.test(option.flags),
    })),
    { flag: '--help', description: 'display help for command', choices: [], takesFile: false },
  ]
  return { name: command.name(), description: command.description(), options }
}

function bash(commands: readonly CommandWords[]): string {
  const values = commands.flatMap(({ name, options }) =>
    options
      .filter((option) => option.choices.length > 0)
      .map(
        ({ flag, choices }) =>
          `    "${name} ${flag}") COMPREPLY=($(compgen -W "${choices.join(' ')}" -- "$word")); return ;;`,
      ),
  )
  const flags = commands.map(
    ({ name, options }) => `    ${name}) words="${options.map(({ flag }) => flag).join(' ')}" ;;`,
  )
  return `_swarmatlas() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$word"))
    return
  fi
  case "$command $before" in
${values.join('\n')}
  esac
  case "$command" in
${flags.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
    *) compopt -o default 2>/dev/null; COMPREPLY=() ;;
  esac
}
complete -F _swarmatlas swarmatlas
`
}

function zsh(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ name, options }) => {
    const specs = options.map(({ flag, description, choices, takesFile }) => {
      const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : takesFile ? ':file:_files' : ''
      return `        ${quoted(`${flag}[${description.replace(/[[\]:]/g, ' ')}]${value}`)}`
    })
    return `      ${name})\n        _arguments \\\n${specs.join(' \\\n')} \\\n        '*:file:_files' ;;`
  })
  return `#compdef swarmatlas
_swarmatlas() {
  local -a commands
  commands=(
${commands.map(({ name, description }) => `    ${quoted(`${name}:${description}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
  else
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
${cases.join('\n')}
    esac
  fi
}
compdef _swarmatlas swarmatlas
`
}

function fish(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ name, description, options }) => [
    `complete -c swarmatlas -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    ...options.map(({ flag, description, choices, takesFile }) => {
      const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : takesFile ? ' -r -F' : ''
      return `complete -c swarmatlas -n '__fish_seen_subcommand_from ${name}' -l ${flag.replace(/^--/, '')} -d ${quoted(description)}${value}`
    }),
  ])
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
