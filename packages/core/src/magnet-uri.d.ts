/** magnet-uri ships no types; only what magnet.ts reads of its result is declared. */
declare module 'magnet-uri' {
  export default function decode(uri: string): {
    /** 40 hex digits. */
    infoHash?: string
    /** 64 hex digits. */
    infoHashV2?: string
    announce: string[]
    so?: number[]
    peerAddresses: string[]
  }
}
