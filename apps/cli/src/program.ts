/** The command line: commands, options, help. Each command's code is loaded when it runs, so that --help answers at once. */
import type { Evidence } from '@swarmatlas/core'
import type { Format } from '@swarmatlas/export'
import { Command, Option } from 'commander'
import { parseAge } from './ages.ts'
import { shells } from './completion.ts'
import { addNetworkOptions, addOutputOptions, storeOption } from './options.ts'
import { version } from './version.ts'

/** What export takes; its own package is loaded when it runs. */
const exportFormats: readonly Format[] = ['ndjson', 'csv', 'geojson', 'graphml', 'gexf', 'parquet']
const exportEvidence: readonly Evidence[] = ['hearsay', 'corroborated', 'reachable', 'handshaken', 'role-known']

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

  const rounds = program
    .command('rounds')
    .description('the rounds in a store')
    .addHelpText('after', example('swarmatlas rounds --store atlas', 'swarmatlas rounds --json | jq .[-1].peers'))
    .action(async (options) => {
      const { rounds: run } = await import('./commands/rounds.ts')
      exit.code = await run(options)
    })
  addOutputOptions(rounds).addOption(storeOption())

  const edges = program
    .command('edges')
    .description('who told us of whom')
    .addHelpText(
      'after',
      example(
        'swarmatlas edges --peer 203.0.113.5:6881',
        'swarmatlas edges --round latest --ndjson | jq -r "[.teller, .peer] | @tsv"',
      ),
    )
    .action(async (options) => {
      const { edges: run } = await import('./commands/edges.ts')
      exit.code = await run(options)
    })
  addOutputOptions(edges)
    .addOption(storeOption())
    .option('--swarm <hash>', 'only this swarm: 40 or 64 hex digits')
    .option('--round <n>', 'only this round: a number or "latest"')
    .option('--teller <endpoint>', 'only what this peer or DHT node said')
    .option('--peer <endpoint>', 'only what was said of this peer')
    .option('--channel <channel>', 'only what came over this channel')

  program
    .command('explain')
    .description('why we know of an endpoint: who told of it, when, and who told of them')
    .argument('<endpoint>', 'an address with a port')
    .addOption(storeOption())
    .addOption(new Option('--json', 'one JSON document on standard output'))
    .addHelpText(
      'after',
      example('swarmatlas explain 203.0.113.5:6881', 'swarmatlas explain "[2001:db8::5]:6881" --json'),
    )
    .action(async (endpoint, options) => {
      const { explain: run } = await import('./commands/explain.ts')
      exit.code = await run(endpoint, options)
    })

  program
    .command('export')
    .description('data from the store for other programs, without addresses')
    .addOption(new Option('--format <format>', 'of the files').choices([...exportFormats]).makeOptionMandatory())
    .requiredOption('-o, --output <path>', 'a file with the ending of the format, or a folder')
    .addOption(storeOption())
    .option('--swarm <hash>', 'only this swarm: 40 or 64 hex digits')
    .option('--round <n>', 'only this round: a number or "latest"')
    .addOption(
      new Option('--evidence <level>', 'the weakest evidence of the peers that are exported')
        .choices([...exportEvidence])
        .default('handshaken'),
    )
    .option('--research', 'show the networks of peers, cut to /24 (IPv4) and /48 (IPv6)')
    .option('--raw-addresses', 'show addresses: personal data')
    .addOption(new Option('--json', 'what was written, as one JSON document on standard output'))
    .addHelpText(
      'after',
      example(
        'swarmatlas export --format parquet -o atlas-export',
        'swarmatlas export --format gexf -o x.gexf --swarm 0123…cdef --round latest',
      ),
    )
    .action(async (options) => {
      const { exportData: run } = await import('./commands/export.ts')
      exit.code = await run(options)
    })

  program
    .command('prune')
    .description('drop addresses that are kept long enough, and old rounds or a swarm where they are named')
    .addOption(storeOption())
    .addOption(
      new Option('--addresses <age>', 'drop raw addresses of weeks that ended so long ago (36h, 90d, 12w)')
        .argParser(parseAge('addresses'))
        .default(undefined, '30d'),
    )
    .addOption(
      new Option('--older-than <age>', 'remove rounds that began so long ago').argParser(parseAge('older-than')),
    )
    .option('--swarm <hash>', 'remove this swarm, or with --older-than its old rounds')
    .addOption(new Option('--json', 'one JSON document on standard output'))
    .addHelpText('after', example('swarmatlas prune', 'swarmatlas prune --older-than 52w --store atlas'))
    .action(async (options) => {
      const { prune: run } = await import('./commands/prune.ts')
      exit.code = await run(options)
    })

  program
    .command('forget')
    .description('remove an address from the store, or the key that links pseudonyms to addresses')
    .argument('[address]', 'IPv4 or IPv6 address')
    .addOption(storeOption())
    .option('--study-key', 'destroy the key: nobody can link the pseudonyms that exist to addresses afterwards')
    .addHelpText('after', example('swarmatlas forget 203.0.113.5', 'swarmatlas forget --study-key --store atlas'))
    .action(async (address, options) => {
      const { forget: run } = await import('./commands/forget.ts')
      exit.code = await run(address, options)
    })

  program
    .command('rebuild')
    .description('compute anew all that is derived from the facts')
    .addOption(storeOption())
    .option('--geo', 'look places up again, too')
    .addOption(new Option('--json', 'one JSON document on standard output'))
    .addHelpText('after', example('swarmatlas rebuild --store atlas', 'swarmatlas rebuild --geo'))
    .action(async (options) => {
      const { rebuild: run } = await import('./commands/rebuild.ts')
      exit.code = await run(options)
    })

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
