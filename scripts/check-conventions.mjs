// Conventions that no linter of ours can express. Prints each breach and exits 1 when there is one.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(file))
const breaches = []

// Time, randomness and timers come in through the seams.
const AMBIENT = /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate)\(/
for (const file of files.filter((name) => /^packages\/[^/]+\/src\//.test(name))) {
  if (/^packages\/(testkit\/|core\/src\/seams)/.test(file)) continue
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, i) => {
      if (AMBIENT.test(line)) breaches.push(`${file}:${i + 1} uses ambient time, randomness or timers: ${line.trim()}`)
    })
}

// Files are concepts.
const MAX_LINES = 400
for (const file of files) {
  const lines = readFileSync(file, 'utf8').split('\n').length - 1
  if (lines > MAX_LINES) breaches.push(`${file} has ${lines} lines, more than ${MAX_LINES}: split it by idea`)
}

// Each third-party package has one importing workspace (tests and benchmarks may compare with it).
const importers = new Map()
for (const file of files) {
  const workspace = /^((?:packages|apps)\/[^/]+)\/src\//.exec(file)?.[1]
  if (workspace === undefined || workspace === 'packages/testkit') continue
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'((?:@[^/']+\/)?[^./'][^/']*)/g)) {
    if (name.startsWith('node:') || name.startsWith('@swarmatlas/')) continue
    importers.set(name, (importers.get(name) ?? new Set()).add(workspace))
  }
}
for (const [name, workspaces] of importers) {
  if (workspaces.size > 1)
    breaches.push(`${name} is imported by ${[...workspaces].join(' and ')}: one of them should own it`)
}

// testkit is for tests.
for (const manifest of execFileSync('git', ['ls-files', '*package.json'], { encoding: 'utf8' }).split('\n')) {
  if (manifest === '') continue
  const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'))
  if ('@swarmatlas/testkit' in dependencies)
    breaches.push(`${manifest}: @swarmatlas/testkit may be a devDependency only`)
}

for (const breach of breaches) console.error(breach)
console.log(breaches.length === 0 ? `conventions hold in ${files.length} files` : `${breaches.length} breaches`)
process.exit(breaches.length === 0 ? 0 : 1)
