/** A small swarm on loopback for the command to look at, and the options that lead there. */
import { nodeHost } from '@swarmatlas/core/node'
import { type SimPeerSpec, type SimSwarm, type SimTorrent, startSimSwarm } from '@swarmatlas/sim-swarm'

export const CJK_NAME = '公開された長い名前のトレント：東京の夜景と上海外滩と서울의 밤の写真集 第二版 完全版 二〇二六年'

const open: readonly SimPeerSpec[] = [
  { name: 'dht', role: 'leech', progress: 0.25, via: ['dht'], client: '迅雷 9.1.2' },
  { name: 'http', role: 'leech', progress: 0.5, via: ['tracker'], client: 'Transmission 4.0.5' },
  { name: 'udp', role: 'seed', via: ['udp-tracker'], client: 'qBittorrent/4.6.5' },
  { name: 'hub', role: 'seed', via: ['dht', 'tracker', 'pex'], client: 'qBittorrent/4.6.5' },
  { name: 'pex', role: 'partial', progress: 0.5, via: ['pex'], client: 'aria2/1.37.0' },
  { name: 'down', role: 'seed', via: ['dht', 'tracker'], down: true },
]

const seed: readonly SimPeerSpec[] = [{ name: 'seed', role: 'seed', via: ['dht', 'tracker'] }]

export interface TestSwarm extends AsyncDisposable {
  readonly swarm: SimSwarm
  readonly open: SimTorrent
  readonly single: SimTorrent
  readonly private: SimTorrent
  readonly empty: SimTorrent
  /** What leads a lookup here and ends it soon. */
  readonly options: readonly string[]
}

export async function startTestSwarm(): Promise<TestSwarm> {
  const swarm = await startSimSwarm(
    { host: nodeHost() },
    {
      dhtNodes: 20,

      httpTracker: true,
      udpTracker: true,
      seed: 20_261_122,
      torrents: [
        {
          name: CJK_NAME,
          version: 'hybrid',
          pieceLength: 65_536,
          files: [
            { path: 'a.txt', bytes: 5 },
            { path: `深い/フォルダ/${'東京'.repeat(40)}.mkv`, bytes: 70_000_000 },
            { path: '写真/夜景.jpg', bytes: 20_000_001 },
          ],
          peers: open,
        },
        { name: 'single.iso', pieceLength: 65_536, files: [{ path: 'single.iso', bytes: 1_000_000 }], peers: seed },
        {
          name: 'hidden.iso',
          private: true,
          pieceLength: 65_536,
          files: [{ path: 'hidden.iso', bytes: 1_000_000 }],
          peers: [{ name: 'seed', role: 'seed', via: ['tracker'] }],
        },
        { name: 'empty.iso', pieceLength: 65_536, files: [{ path: 'empty.iso', bytes: 1_000_000 }], peers: [] },
      ],
    },
  )
  const [open_, single, hidden, empty] = swarm.torrents as [SimTorrent, SimTorrent, SimTorrent, SimTorrent]
  return {
    swarm,
    open: open_,
    single,
    private: hidden,
    empty,
    options: [...bootstrapOf(swarm), '--allow-private', '--profile', 'lab', '--stay', '2s'],
    [Symbol.asyncDispose]: () => swarm.close(),
  }
}

function bootstrapOf(swarm: Pick<SimSwarm, 'bootstrap'>): string[] {
  return ['--bootstrap', swarm.bootstrap.map(({ host, port }) => `${host}:${port}`).join(',')]
}
