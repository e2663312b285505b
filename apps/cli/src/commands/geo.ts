/** `swarmatlas geo`: the Country, City and ASN editions for addresses. */
import { canonicalAddress, SwarmatlasError } from '@swarmatlas/core'
import { createGeo, formatEditions } from '@swarmatlas/geo'
import { exitCodes } from '../exit-codes.ts'
import { print, printJson } from '../output.ts'

export async function geo(texts: string[], options: { json?: boolean }): Promise<number> {
  const addresses = texts.map((text) => {
    const address = canonicalAddress(text)
    if (address === undefined)
      throw new SwarmatlasError('BAD_OPTION', `"${text}" is no IP address`, {
        hint: 'names are not resolved; give the address itself',
      })
    return address
  })
  const places = createGeo()
  const database = await places.load()
  const found = addresses.map((address) => ({ address, place: places.place({ address, port: 0 }) }))
  if (options.json) await printJson({ database, addresses: found })
  else {
    await print(`${found.map(({ address, place }) => formatEditions(address, place, database)).join('\n\n')}\n`)
    if (database.attribution !== null) await print(`\n${database.attribution}\n`)
  }
  return found.some(({ place }) => place !== null) ? exitCodes.done : exitCodes.nothingFound
}
