/**
 * Nodes that answered lately, sorted by the first bits of their ids: a lookup that starts from the nearest of them skips
 * most of the way. The routing table knows few nodes far from our own id, where most lookups lead.
 */
import { type Endpoint, limits } from '@swarmatlas/core'
import type { Contact } from './contact.ts'
import { distance } from './lookup/distance.ts'

export interface KnownNodes {
  readonly count: number
  answered(id: Buffer, endpoint: Endpoint): void
  lost(endpoint: Endpoint, id: Buffer | undefined): void
  /** At most `max`, nearest first. */
  nearest(target: Uint8Array, max: number): Contact[]
}

const SLOT_BITS = 12
const SLOTS = 2 ** SLOT_BITS

export function createKnownNodes(): KnownNodes {
  /** The one heard last stands last. */
  const slots: Contact[][] = Array.from({ length: SLOTS }, () => [])
  let count = 0

  function find(slot: Contact[], { address, port }: Endpoint): number {
    return slot.findIndex(({ endpoint }) => endpoint.port === port && endpoint.address === address)
  }

  return {
    get count() {
      return count
    },
    answered(id, endpoint) {
      const slot = slots[slotOf(id)] as Contact[]
      const at = find(slot, endpoint)
      if (at >= 0) {
        const [known] = slot.splice(at, 1) as [Contact]
        slot.push(known.id.equals(id) ? known : { id: Buffer.from(id), endpoint })
        return
      }
      slot.push({ id: Buffer.from(id), endpoint })
      if (slot.length > limits.dhtKnownNodesPerSlot) slot.shift()
      else count++
    },
    lost(endpoint, id) {
      if (id === undefined) return
      const slot = slots[slotOf(id)] as Contact[]
      const at = find(slot, endpoint)
      if (at < 0) return
      slot.splice(at, 1)
      count--
    },
    nearest(target, max) {
      const own = slotOf(target)
      const found: Contact[] = []
      // In the XOR metric the slots come in this order.
      for (let step = 0; step < SLOTS && found.length < max; step++) found.push(...(slots[own ^ step] as Contact[]))
      return found
        .map((contact) => ({ contact, away: distance(contact.id, target) }))
        .sort((a, b) => a.away - b.away)
        .slice(0, max)
        .map(({ contact }) => contact)
    },
  }
}

function slotOf(id: Uint8Array): number {
  return ((id[0] as number) << 4) | ((id[1] as number) >> 4)
}
