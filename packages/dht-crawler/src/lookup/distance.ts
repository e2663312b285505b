/** Kademlia's XOR metric (Maymounkov and Mazières 2002), its first 52 bits as a number: quick to compare, hardly ever equal. */

export type Distance = number

const LOW_BITS = 2 ** 20

export function distance(a: Uint8Array, b: Uint8Array): Distance {
  const high = (byte(a, b, 0) << 24) | (byte(a, b, 1) << 16) | (byte(a, b, 2) << 8) | byte(a, b, 3)
  const low = (byte(a, b, 4) << 12) | (byte(a, b, 5) << 4) | (byte(a, b, 6) >> 4)
  return (high >>> 0) * LOW_BITS + low
}

/** Leading bits in common, 0-52. */
export function commonBits(away: Distance): number {
  return away === 0 ? 52 : 51 - Math.floor(Math.log2(away))
}

function byte(a: Uint8Array, b: Uint8Array, at: number): number {
  return (a[at] as number) ^ (b[at] as number)
}
