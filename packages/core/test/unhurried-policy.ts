import {
  type AddressPolicy,
  type AddressPolicyOptions,
  type Clock,
  createAddressPolicy,
  type Profile,
  profiles,
  type Refusal,
  type RefusalReason,
} from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'

const unhurried: Profile = { ...profiles.server, newEndpointsPerMinute: Number.POSITIVE_INFINITY }

/** The policy of a server, without a rate unless `profile` sets one. */
export function policyWith(
  profile: Partial<Profile> = {},
  { clock = new FakeClock(), ...options }: Partial<AddressPolicyOptions> & { clock?: Clock } = {},
): AddressPolicy {
  return createAddressPolicy({ clock }, { profile: { ...unhurried, ...profile }, ...options })
}

export function reason(refusal: Refusal | undefined): RefusalReason | undefined {
  return refusal?.reason
}
