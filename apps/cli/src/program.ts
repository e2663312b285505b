/** The command line: commands, options, help. Each command's code is loaded when it runs, so that --help answers at once. */
import { Command, Option } from 'commander'
import { shells } from './completion.ts'
import { addNetworkOptions, addOutputOptions, storeOption } from './options.ts'
import { version } from './version.ts'

export interface Exit {
  code: number
}

/** Builds the program; the command that runs leaves its exit code in `exit`. */
export function createProgram(exit: Exit): Command {
  const program = new Command('swarmatlas')
    .description(
      'Finds the peers of BitTorrent swarms, remembers who told us of whom, and draws what it found.\nIt never requests, downloads or serves content.',
    )
    .version(version, '-V, --version')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    .addHelpText('after', example('swarmatlas lookup "magnet:?xt=urn:btih:…"', 'swarmatlas demo'))

  const lookup = program
    .command('lookup')
    .description('look one swarm up: metadata, peers as they come, health')
    .argument('<target>', 'magnet (quoted), info-hash, .torrent file, or - for standard input')
    .addHelpText(
      'after',
      example(
        'swarmatlas lookup "magnet:?xt=urn:btih:…"',
        'swarmatlas lookup 0123…cdef --channels dht --json',
        'swarmatlas lookup - < magnet.txt',
      ),
    )
    .action(async (target, options) => {
      const { lookup: run } = await import('./commands/lookup.ts')
      exit.code = await run(target, options)
    })
  addOutputOptions(addNetworkOptions(lookup, { depth: 'quick', deadline: '60s' }))
  lookup.option('--store <dir>', 'also keep what was found in this peer graph')

  const map = program
    .command('map')
    .description('one round over many swarms into a store, then a report and a world map')
    .argument('[target...]', 'magnets, info-hashes, .torrent files')
    .addHelpText(
      'after',
      example(
        'swarmatlas map --list swarms.txt --store atlas',
        'swarmatlas map ubuntu.torrent -o ubuntu.svg --theme dark',
      ),
    )
    .action(async (targets, options) => {
      const { map: run } = await import('./commands/map.ts')
      exit.code = await run(targets, options)
    })
  map.option('--list <file>', 'a file with a target a line; # begins a comment')
  addOutputOptions(addNetworkOptions(map, { depth: 'thorough' }))
  map
    .addOption(storeOption())
    .option('-o, --output <file>', 'the map to write, .png or .svg; the other is written beside it')
    .addOption(themeOption())

  const swarms = program
    .command('swarms')
    .description('the swarms in a store')
    .addHelpText('after', example('swarmatlas swarms --store atlas', 'swarmatlas swarms --json | jq .[].name'))
    .action(async (options) => {
      const { swarms: run } = await import('./commands/swarms.ts')
      exit.code = await run(options)
    })
  addOutputOptions(swarms).addOption(storeOption())

  const peers = program
    .command('peers')
    .description('the peers in a store, each once per swarm')
    .addHelpText(
      'after',
      example(
        'swarmatlas peers --store atlas --swarm 0123…cdef',
        'swarmatlas peers --evidence role-known --ndjson | jq -r .address',
      ),
    )
    .action(async (options) => {
      const { peers: run } = await import('./commands/peers.ts')
      exit.code = await run(options)
    })
  addOutputOptions(peers)
    .addOption(storeOption())
    .option('--swarm <hash>', 'only this swarm: 40 or 64 hex digits')
    .option('--round <n>', 'only this round: a number or "latest"')
    .option('--channel <channel>', 'only peers named over this channel')
    .option('--evidence <level>', 'only peers with this evidence')
    .option('--role <role>', 'only seed, leech or partial')
    .option('--country <code>', 'only this country, for example FR')

  program
    .command('geo')
    .description('Country, City and ASN editions for addresses')
    .argument('<address...>', 'IPv4 or IPv6 addresses')
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', example('swarmatlas geo 8.8.8.8', 'swarmatlas geo 2001:4860:4860::8888 --json'))
    .action(async (addresses, options) => {
      const { geo: run } = await import('./commands/geo.ts')
      exit.code = await run(addresses, options)
    })

  program
    .command('demo')
    .description('a swarm of its own on loopback, mapped end to end; no network needed')
    .option('--store <dir>', 'where the peer graph and the map go (a temporary folder if not given)')
    .addOption(themeOption())
    .addOption(new Option('--json', 'one JSON document on standard output'))
    .addHelpText('after', example('swarmatlas demo', 'swarmatlas demo --store demo-store --theme dark'))
    .action(async (options) => {
      const { demo: run } = await import('./commands/demo.ts')
      exit.code = await run(options)
    })

  program
    .command('completion')
    .description('print a completion script for your shell')
    .addArgument(program.createArgument('<shell>', shells.join(', ')).choices([...shells]))
    .addHelpText(
      'after',
      example(
        'source <(swarmatlas completion bash)',
        'swarmatlas completion fish > ~/.config/fish/completions/swarmatlas.fish',
      ),
    )
    .action(async (shell) => {
      const [{ completionScript }, { print }] = await Promise.all([import('./completion.ts'), import('./output.ts')])
      await print(completionScript(program, shell))
    })

  return program
}

function themeOption(): Option {
  return new Option('--theme <theme>', 'colours of the map').choices(['light', 'dark']).default('light')
}

function example(...lines: string[]): string {
  return `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}
