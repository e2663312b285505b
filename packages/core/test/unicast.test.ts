import ipaddr from 'ipaddr.js'
import { expect, it } from 'vitest'
import { isUnicast } from '../src/address-ranges.ts'

it('calls unicast what ipaddr.js does, network by network', () => {
  for (let network = 0; network < 256; network++) {
    for (const rest of [
      '0.0.0',
      '0.0.1',
      '0.2.1',
      '16.0.1',
      '51.100.7',
      '64.0.1',
      '88.99.1',
      '168.1.1',
      '254.1.1',
      '255.255.255',
    ]) {
      const address = `${network}.${rest}`
      const range: string = ipaddr.IPv4.parse(address).range()
      expect([address, isUnicast(address, false)]).toEqual([address, range === 'unicast'])
    }
  }
  for (const rubbish of ['1', '1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '', '8.8.8.8 ', '1.2.3.x']) {
    expect([rubbish, isUnicast(rubbish, true)]).toEqual([rubbish, false])
  }
})
