/**
 * Bounds and habits of the simulated parties. They stand here and not in core's limits: those bound what the product
 * reads, and a simulator that shared them could not show that they are wrong.
 */
export const bounds = {
  /** Bucket size and nodes in a reply (BEP 5). */
  dhtBucketNodes: 8,
  /** Nodes that hold the peers of a hash (BEP 5). */
  dhtHolders: 8,
  /** Peers in one get_peers reply, as libtorrent has it. */
  dhtValues: 100,
  /** Peers of one hash at a node above which it takes no more announcements. */
  dhtStoredPeers: 2_000,
  /** Hashes that strangers may make a node remember. */
  dhtStoredHashes: 200,
  /** Hashes whose get_peers are counted one by one. */
  dhtCountedHashes: 10_000,
  dhtTokenBytes: 8,
  /** Nesting and values of a query; honest ones have 3 and fewer than 20. */
  krpcDepth: 6,
  krpcItems: 1_000,
  /** Nodes named as bootstrap. */
  dhtBootstrapNodes: 3,

  /** Of a whole DHT: how much of its neighbourhood a node has not heard of, and a lookup before an announcement finds. */
  dhtUnknownPercent: 20,
  dhtFoundPercent: 60,
  /** The nodes that such announcements are spread over, and the peers of a swarm that one of them holds (libtorrent). */
  dhtHardHolders: 20,
  dhtHardStoredPeers: 500,
  /** Peers in a reply over IPv6, which BEP 32 wants to fit into 1,024 bytes. */
  dhtValues6: 25,
  /** What a libtorrent node sends over the DHT, and for how long it may have saved up. */
  dhtBytesPerS: 8_000,
  dhtBurstS: 3,
  /** So many packets of one address within the window, and a libtorrent node ignores it until it is silent for so long. */
  dhtBanPackets: 50,
  dhtBanWindowMs: 10_000,
  dhtBanMs: 300_000,
  /** BEP 33. */
  bloomFilterBytes: 256,
  /** BEP 51: samples in a reply, and how long they stay the same. */
  dhtSamples: 20,
  dhtSampleIntervalS: 60,
  /** Peers that a liar invents for a reply. */
  dhtInventedPeers: 50,

  /** Seconds between announces, and the shortest that is tolerated. */
  trackerIntervalS: 1_800,
  trackerMinIntervalS: 60,
  /** Peers given when the client names no number, and at most. */
  trackerNumwant: 50,
  trackerNumwantCeiling: 200,
  /** Clients that announced, kept per hash. */
  trackerClients: 1_000,
  /** A request line with its headers. */
  httpRequestBytes: 16_384,
  /** A connection id is good for two minutes (BEP 15). */
  udpConnectionMs: 120_000,
  udpConnections: 10_000,
  /** Hashes in one scrape (BEP 15). */
  udpScrapeHashes: 74,

  /** Connections to one peer at a time. */
  peerConnections: 500,
  /** The longest message taken; a client that maps needs none longer. */
  peerMessageBytes: 1_048_576,
  extensionDepth: 8,
  extensionItems: 5_000,
  /** Requests it says it would queue (`reqq`, BEP 10). */
  peerRequestQueue: 250,
  /** Bytes that may wait for a client which does not read. */
  peerUnsentBytes: 4_194_304,
  /** Piece of metadata (BEP 9). */
  metadataPieceBytes: 16_384,
  /** From the client's extension handshake to the first PEX message. */
  pexDelayMs: 300,
  /** Peers in one PEX message (BEP 11). */
  pexAdded: 50,
  /** Peers that everyone found over PEX is connected to; more when lists would not fit into a message. */
  pexHubs: 3,
  pexHubsPerPeer: 2,
} as const
