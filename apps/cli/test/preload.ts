/** Loaded into the command under test before anything else: no packet of it leaves the machine. */
import { allowEgress } from '@swarmatlas/testkit/egress-guard'

const prefix = process.env.TEST_EGRESS_PREFIX
if (prefix !== undefined) allowEgress(prefix)
