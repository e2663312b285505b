/**
 * Checks that package-lock.json is complete: every optional dependency of every package has an entry of its own, and no
 * entry records where it was downloaded from. npm drops platform packages that the registry does not have yet without a
 * word, and `npm ci` then fails on that platform.
 *
 * Usage: node scripts/check-lock.mjs [package-lock.json]
 */
import { readFileSync } from 'node:fs'

const [file = new URL('../package-lock.json', import.meta.url)] = process.argv.slice(2)
const { packages } = JSON.parse(readFileSync(file, 'utf8'))

/** Where Node looks for `name` from the package at `path`: its own node_modules, then each one above it. */
function isLocked(path, name) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(folder.lastIndexOf('/'), 0))) {
    if (!folder.endsWith('node_modules') && `${folder}/node_modules/${name}`.replace(/^\//, '') in packages) return true
    if (folder === '') return false
  }
}

const problems = []
let optional = 0
for (const [path, entry] of Object.entries(packages)) {
  const name = path || 'the root'
  for (const [dependency, range] of Object.entries(entry.optionalDependencies ?? {})) {
    optional++
    if (!isLocked(path, dependency))
      problems.push(`${name}: no entry for its optional dependency ${dependency}@${range}`)
  }
  if (entry.resolved !== undefined && !entry.link) problems.push(`${name}: records an address (${entry.resolved})`)
}

for (const problem of problems) console.error(problem)
if (problems.length > 0) {
  console.error(`${problems.length} problems in the lock file`)
  process.exitCode = 1
} else {
  console.log(`lock file complete: ${Object.keys(packages).length} packages, ${optional} optional dependencies`)
}
