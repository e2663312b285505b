/**
 * Nodes that answered lately, sorted by the first bits of their ids: a lookup that starts from the nearest of them skips
 * most of the way. The routing table knows few nodes far from our own id, where most lookups lead.
 */
import { type Endpoint, endpointKey, limits } from '@swarmatlas/core'
import type { Contact } from './contact.ts'
import { distance } from './lookup/distance.ts'

export interface KnownNodes {
  readonly count: number
  answered(id: Buffer, endpoint: Endpoint): void
  lost(endpoint: Endpoint, id: Buffer | undefined): void
  /** A node that another named while we joined, and that nobody has asked yet. */
  heardOf(contact: Contact): void
  /** At most `max` that answered, nearest first, and as many that were only heard of. */
  nearest(target: Uint8Array, max: number): Contact[]
}

const SLOT_BITS = 10
const SLOTS = 2 ** SLOT_BITS

export function createKnownNodes(): KnownNodes {
  /** The one heard last stands last. */
  const slots: Contact[][] = Array.from({ length: SLOTS }, () => [])
  /** Those that answered lately may not be asked again at once: the first lookups need others. The oldest go first. */
  const rumours = new Map<string, Contact>()
  let count = 0

  function find(slot: Contact[], { address, port }: Endpoint): number {
    return slot.findIndex(({ endpoint }) => endpoint.port === port && endpoint.address === address)
  }

  return {
    get count() {
      return count
    },
    heardOf({ id, endpoint }) {
      rumours.set(endpointKey(endpoint), { id: Buffer.from(id), endpoint })
      if (rumours.size > limits.dhtRumours) rumours.delete(rumours.keys().next().value as string)
    },
    answered(id, endpoint) {
      rumours.delete(endpointKey(endpoint))
      const slot = slots[slotOf(id)] as Contact[]
      const at = find(slot, endpoint)
      if (at >= 0) {
        const [known] = slot.splice(at, 1) as [Contact]
        slot.push(known.id.equals(id) ? known : { id: Buffer.from(id), endpoint })
        return
      }
      slot.push({ id: Buffer.from(id), endpoint })
      // There are better ones now.
      if (count >= limits.dhtEntryPool) rumours.clear()
      if (slot.length > limits.dhtKnownNodesPerSlot) slot.shift()
      else count++
    },
    lost(endpoint, id) {
      rumours.delete(endpointKey(endpoint))
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
      return [...nearestOf(found, target, max), ...nearestOf([...rumours.values()], target, max)]
    },
  }
}

function nearestOf(contacts: readonly Contact[], target: Uint8Array, max: number): Contact[] {
  return contacts
    .map((contact) => ({ contact, away: distance(contact.id, target) }))
    .sort((a, b) => a.away - b.away)
    .slice(0, max)
    .map(({ contact }) => contact)
}

function slotOf(id: Uint8Array): number {
  return ((id[0] as number) << 2) | ((id[1] as number) >> 6)
}
