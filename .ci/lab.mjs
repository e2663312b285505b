// Maps a lab of real BitTorrent clients with the built command line and compares with the lab's truth.
// usage: node .ci/lab.mjs LAB_FOLDER [--keep]   (the lab is started when it does not run; needs root)
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const lab = resolve(process.argv[2])
const labDir = process.env.LAB_DIR ?? join(tmpdir(), 'swarm-lab-swl')
const cli = resolve('apps/cli/bin/swarmatlas.js')
const home = mkdtempSync(join(tmpdir(), 'swarmatlas-lab-'))
const problems = []
// What a lab leaves behind outlives its processes: in CI it is always started anew.
const startedHere = process.env.CI !== undefined || !existsSync(join(labDir, 'truth.json'))
if (startedHere) {
  spawnSync(join(lab, 'down'), ['--purge'], { stdio: 'ignore' })
  execFileSync(join(lab, 'up'), { stdio: 'inherit' })
}

let probes = 0
try {
  const truth = readTruth()
  for (const name of ['strict', 'cjk', 'hybrid', 'v2only'])
    check(name, truth.torrents[name], lookup(truth, truth.torrents[name].magnet))
  checkChannels(truth)
  checkPrivate(truth)
} finally {
  if (startedHere && !process.argv.includes('--keep')) spawnSync(join(lab, 'down'), ['--purge'], { stdio: 'inherit' })
  rmSync(home, { recursive: true, force: true })
}
for (const problem of problems) console.error(`lab: ${problem}`)
process.exit(problems.length === 0 ? 0 : 1)

function readTruth() {
  execFileSync(join(lab, 'truth'), ['--summary'], { stdio: 'ignore' })
  return JSON.parse(readFileSync(join(labDir, 'truth.json'), 'utf8'))
}

// A fresh address each time, since the swarm remembers those of earlier runs, and a fresh state folder, since trackers'
// intervals are obeyed across processes.
function lookup(truth, target, ...more) {
  const state = mkdtempSync(join(home, 'state-'))
  const bind = truth.probe[truth.probe.length - 1 - (probes++ % truth.probe.length)]
  const args = [
    process.execPath,
    cli,
    'lookup',
    target,
    '--json',
    '--allow-private',
    '--profile',
    'lab',
    '--bind',
    bind,
    '--bootstrap',
    truth.routers.map((router) => router.join(':')).join(','),
    ...more,
  ]
  const { stdout, stderr } = spawnSync(join(lab, 'probe'), args, {
    encoding: 'utf8',
    maxBuffer: 1e8,
    env: { ...process.env, XDG_STATE_HOME: state, XDG_DATA_HOME: state },
  })
  // The probe prints the exit code of what it ran, with its costs, as its last line.
  const status = Number(/"rc": (\d+)/.exec(stderr + stdout)?.[1])
  if (status === 2) return { report: undefined, status }
  const end = stdout.lastIndexOf('\n}')
  try {
    return { report: JSON.parse(stdout.slice(stdout.indexOf('{'), end + 2)), status }
  } catch (error) {
    problems.push(`no report for ${target.slice(0, 60)}: ${error.message}\n${stderr}`)
    return { report: undefined, status }
  }
}

function keyOf(peer) {
  return `${peer.address ?? peer.addr}:${peer.port}`
}

function check(name, torrent, { report }) {
  if (report === undefined) return
  const seen = new Map(report.peers.map((peer) => [keyOf(peer), peer]))
  const live = torrent.peers.filter((peer) => peer.up && peer.reachable)
  const missed = live.filter((peer) => !seen.has(keyOf(peer)))
  const plain = live.filter((peer) => peer.encryption !== 'forced' && peer.utp !== 'only')
  const shaken = (peer) => ['handshaken', 'role-known'].includes(seen.get(keyOf(peer))?.evidence)
  const notShaken = plain.filter((peer) => !shaken(peer))
  const firstMs = Math.min(...report.peers.map((peer) => peer.firstSeenMs)) - report.startedMs
  console.log(
    `${name.padEnd(8)} live ${live.length - missed.length}/${live.length}, plain TCP handshaken ${plain.length - notShaken.length}/${plain.length}, all handshaken ${live.filter(shaken).length}, first peer ${firstMs} ms, in all ${report.elapsedMs} ms, ${report.traffic.bytesIn} B in, ${report.traffic.bytesOut} B out`,
  )
  const silent = live.filter((peer) => !shaken(peer))
  if (silent.length > 0)
    console.log(
      `         not handshaken: ${silent.map((peer) => `${peer.name} (${peer.encryption}, uTP ${peer.utp}: ${seen.get(keyOf(peer))?.evidence} ${seen.get(keyOf(peer))?.lastOutcome})`).join(', ')}`,
    )
  if (missed.length > 0) problems.push(`${name}: not seen: ${missed.map((peer) => peer.name).join(', ')}`)
  if (notShaken.length > 0)
    problems.push(`${name}: on plain TCP but not handshaken: ${notShaken.map((peer) => peer.name).join(', ')}`)
  const { metadata } = report
  const paths = metadata?.files.map((file) => file.path).sort()
  if (metadata?.name !== torrent.name || paths.join('\n') !== [...torrent.files].sort().join('\n')) {
    problems.push(`${name}: the metadata says ${metadata?.name}: ${paths}`)
  }
  // The lab counts the padding of a hybrid, which is no file.
  if (name !== 'hybrid' && metadata?.totalBytes !== torrent.size)
    problems.push(`${name}: ${metadata?.totalBytes} B, not ${torrent.size}`)
  writeFileSync(join(home, `${name}.json`), JSON.stringify(report))
  const score = JSON.parse(execFileSync(join(lab, 'score'), [join(home, `${name}.json`)], { encoding: 'utf8' }))
  const falseOnes = [...score.false_swapped, ...score.false_port, ...score.false_other]
  if (falseOnes.length > 0) problems.push(`${name}: false endpoints above hearsay: ${falseOnes.join(', ')}`)
}

// Each peer of "strict" can be found over one channel only.
function checkChannels(truth) {
  const torrent = truth.torrents.strict
  for (const [channels, via] of [
    ['dht', 'dht'],
    ['tracker', 'tracker'],
    ['dht,tracker,pex', 'pex'],
  ]) {
    const { report } = lookup(truth, torrent.magnet, '--channels', channels)
    if (report === undefined) continue
    const wanted = torrent.peers.filter(
      (peer) => peer.up && peer.reachable && peer.via.length === 1 && peer.via[0] === via,
    )
    const found = new Set(report.peers.filter((peer) => peer.channels.includes(via)).map(keyOf))
    const missed = wanted.filter((peer) => !found.has(keyOf(peer)))
    console.log(`strict   over ${via} alone ${wanted.length - missed.length}/${wanted.length}`)
    if (missed.length > 0) problems.push(`strict: over ${via}: not seen: ${missed.map((peer) => peer.name).join(', ')}`)
  }
}

function checkPrivate(truth) {
  checkPrivateFile(truth)
  const torrent = truth.torrents.private
  const { report, status } = lookup(truth, torrent.magnet)
  if (report === undefined) return
  if (!report.private) problems.push('private: the report does not say that it is private')
  if (!report.notices.some((notice) => notice.includes('before its metadata said so')))
    problems.push('private: the report does not say what went out before')
  const allowed = lookup(truth, torrent.magnet, '--private-ok').report
  const seen = new Set(allowed?.peers.map(keyOf))
  const live = torrent.peers.filter((peer) => peer.up && peer.reachable)
  console.log(
    `private  as a magnet: exit ${status}, told of ${report.peers.length} peers; with --private-ok ${live.filter((peer) => seen.has(keyOf(peer))).length}/${live.length}`,
  )
  if (live.some((peer) => !seen.has(keyOf(peer))))
    problems.push('private: with --private-ok not all live peers were seen')
}

// Known to be private from the first moment: no packet to the DHT, no PEX.
function checkPrivateFile(truth) {
  const file = join(labDir, 'torrents', 'private.torrent')
  const refused = lookup(truth, file)
  if (refused.status !== 2) problems.push(`private.torrent without --private-ok ended with ${refused.status}`)
  const { report } = lookup(truth, file, '--private-ok')
  if (report === undefined) return
  const channels = new Set(report.peers.flatMap((peer) => peer.channels))
  console.log(
    `private  as a .torrent: ${report.peers.length} peers over ${[...channels]}, ${report.traffic.byChannel.dht.packetsOut} DHT packets`,
  )
  if (report.traffic.byChannel.dht.packetsOut > 0 || channels.has('dht') || channels.has('pex'))
    problems.push('private.torrent: DHT or PEX traffic')
}
