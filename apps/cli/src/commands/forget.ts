/** `swarmatlas forget`: removes an address, or what links pseudonyms to addresses. */
import { canonicalAddress, SwarmatlasError } from '@swarmatlas/core'
import { exitCodes } from '../exit-codes.ts'
import { print } from '../output.ts'
import { count } from '../quantities.ts'
import { openStore } from '../store.ts'

export async function forget(
  text: string | undefined,
  options: { store: string; studyKey?: boolean },
): Promise<number> {
  if ((text === undefined) !== (options.studyKey === true))
    throw new SwarmatlasError('BAD_OPTION', 'name one address to forget, or --study-key')
  if (text === undefined) {
    await using store = await openStore(options.store, 'forget')
    await store.destroyStudyKey()
    await print('The study key is destroyed. What is met from now on gets pseudonyms of a new one.\n')
    return exitCodes.done
  }
  const address = canonicalAddress(text)
  if (address === undefined) throw new SwarmatlasError('BAD_OPTION', `forget: "${text}" is no IP address`)
  await using store = await openStore(options.store, 'forget')
  const { endpoints } = await store.forget(address)
  await print(
    endpoints === 0
      ? `${address} is not in ${options.store}\n`
      : `${count(endpoints, 'endpoint')} of ${address} forgotten\n`,
  )
  return endpoints === 0 ? exitCodes.nothingFound : exitCodes.done
}
