/**
 * Small cells: combinations of attributes that fewer than k hosts share are shown with fewer attributes, until at least k
 * hosts look alike (k-anonymity by hierarchical suppression: L. Sweeney 2002). A path lists the attributes from the one that is
 * kept longest (country) to the one that goes first (client).
 */
export type Path = readonly (string | number | null)[]

export interface Cells {
  /** Counts a host under its attributes. Repetitions of a host count once. */
  add(path: Path, host: string): void
  /** How many attributes of the path may be shown. Call it after the last `add`. */
  shown(path: Path): number
}

interface Cell {
  readonly key: string
  readonly depth: number
  readonly parent: Cell | undefined
  /** Hosts that are shown here; k are enough to know. */
  readonly hosts: Set<string>
  /** How many attributes the hosts of this cell show; INTO_PARENT: as many as those of its parent. */
  shown: number
}

const INTO_PARENT = -1

/** Values hold no control characters. */
function keyOf(path: Path): string {
  return path.map((value) => value ?? '\u0001').join('\u0000')
}

/** `k`: hosts, 1 or more. `max`: combinations counted; what comes after them shows nothing. */
export function createCells({ k, max }: { k: number; max: number }): Cells {
  const root: Cell = { key: '', depth: 0, parent: undefined, hosts: new Set(), shown: 0 }
  const cells = new Map<string, Cell>([['', root]])
  let settled = false

  const keep = (cell: Cell, host: string) => {
    if (cell.hosts.size < k) cell.hosts.add(host)
  }

  function cellOf(path: Path): Cell {
    const key = keyOf(path)
    const known = cells.get(key)
    if (known !== undefined) return known
    if (cells.size >= max) return root
    const cell: Cell = {
      key,
      depth: path.length,
      parent: cellOf(path.slice(0, -1)),
      hosts: new Set(),
      shown: path.length,
    }
    cells.set(key, cell)
    return cell
  }

  function settle(): void {
    settled = true
    const deepestFirst = [...cells.values()].sort((a, b) => b.depth - a.depth || (a.key < b.key ? -1 : 1))
    let last: Cell | undefined
    for (const cell of deepestFirst) {
      if (cell.parent === undefined || cell.hosts.size === 0) continue
      if (cell.hosts.size >= k) {
        last = cell
        continue
      }
      cell.shown = INTO_PARENT
      for (const host of cell.hosts) keep(cell.parent, host)
    }
    // A few hosts that alone show nothing would stand out by it: the last of the large cells keeps them company.
    if (root.hosts.size > 0 && root.hosts.size < k && last !== undefined) last.shown = 0
  }

  return {
    add(path, host) {
      keep(cellOf(path), host)
    },
    shown(path) {
      if (!settled) settle()
      let cell = cells.get(keyOf(path)) ?? root
      while (cell.shown === INTO_PARENT && cell.parent !== undefined) cell = cell.parent
      return cell.shown
    },
  }
}
