/** Arithmetic on uTP's 16-bit sequence numbers, which wrap. */

export function plus(seq: number, steps: number): number {
  return (seq + steps) & 0xffff
}

/** Steps from one number to another: -32,768 to 32,767, negative when `to` comes before. */
export function stepsTo(from: number, to: number): number {
  return ((to - from) << 16) >> 16
}
