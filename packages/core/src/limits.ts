/** Every bound of the program: unit in the name, its source or reason, and where it matters a safe range. */

export const limits = {
  // Input from the user (a magnet is hostile input too).
  /** Trackers taken from one target; more are ignored and counted. */
  trackersPerTarget: 20,
  /** `x.pe` addresses taken from one magnet (BEP 9). */
  magnetPeers: 100,
  /** A magnet longer than this is refused. */
  magnetChars: 65_536,
  /** A .torrent file larger than this is refused; the largest seen in public indexes are near 30 MB. */
  torrentFileBytes: 67_108_864,
  /** Targets in one list file. */
  listLines: 100_000,
  /** Highest file index that `so` (BEP 53) may name: ranges are expanded. */
  selectOnlyIndex: 100_000,
  /** Ranges in one `so`. */
  selectOnlyRanges: 1_000,
  /** DHT nodes taken from one .torrent (BEP 5 `nodes`). */
  torrentNodes: 100,
  /** Characters of what the user gave that an error message repeats. */
  excerptChars: 80,
  /** Characters of a name that are kept (BEP 3 sets none; file systems end at 255 bytes per part). */
  nameChars: 1_024,
  /** Files listed in one torrent; more make the metadata invalid. */
  filesPerTorrent: 400_000,
  /** Characters of all file paths of one torrent together. */
  pathCharsPerTorrent: 33_554_432,

  // KRPC (BEP 5).
  /** A UDP payload over this is dropped unparsed: honest KRPC messages fit in one Ethernet frame, libtorrent caps at 1,024-1,500 B. */
  krpcMessageBytes: 4_096,
  /** Nesting of an honest KRPC message is 3. */
  krpcDepth: 6,
  krpcItems: 1_000,
  /** `values` entries read from one reply: libtorrent sends at most 100, 500 would not fit a datagram of 4 KiB. */
  krpcValues: 500,
  /** `nodes` entries read from one reply (BEP 5: 8). */
  krpcNodes: 32,
  /** Queries in flight over all lookups, at most; what one reply takes of the receive buffer may set less. */
  dhtQueriesInFlight: 4_096,
  /** What Linux books for one reply in the receive buffer: 1-1.5 kB of payload in a 2 KiB block, and its 256 B of management. */
  dhtReplyBufferBytes: 2_304,
  /** No reply is expected any more; mldht sees 99 % of replies within 2 s. */
  dhtQueryTimeoutMs: 2_000,
  /** A query gives its place up after the time in which 90 % of replies came, and a quarter more; never sooner than this. */
  dhtTimeoutFloorMs: 100,
  /** Round trips of one class of nodes that the timeouts look back on. */
  dhtRoundTrips: 256,
  /** Step of the wheel that timeouts hang on. */
  dhtWheelTickMs: 10,
  /** A query that a rate holds back is given up after this. */
  dhtHeldQueryMs: 10_000,
  /** A lookup waits so long for a node that others keep asking: once through `dhtNodeIntervalMs`. */
  dhtBusyNodeMs: 2_500,
  /** One node is asked at most once in this time, over all lookups. libtorrent bans who sends 50 packets in 10 s. */
  dhtNodeIntervalMs: 2_000,
  /** The same in a lab, whose few nodes serve all lookups: 40 queries in 10 s. */
  dhtNodeIntervalLabMs: 250,
  /** Queries to one address and to one /24 (/48) in `dhtRateWindowMs`: 5 nodes behind one address, 20 in one network. */
  dhtQueriesPerAddress: 25,
  dhtQueriesPerPrefix: 100,
  dhtRateWindowMs: 10_000,
  /** A node that did not answer is left alone for so long by all lookups. */
  dhtUnansweredMs: 600_000,
  /** Queries in a row that a node may leave unanswered when it has answered before: datagrams get lost. */
  dhtStrikes: 3,
  /** Endpoints in each of the two generations of the book of nodes asked (about 200 B each). */
  dhtNodeBook: 100_000,
  /** Nodes that answered, kept to start lookups from: 1,024 sorts of id, so many of each (about 250 B each). */
  dhtKnownNodesPerSlot: 16,
  /** Claims of what our address is that are counted at one time (BEP 42), and the networks that must agree. */
  dhtAddressClaims: 16,
  dhtAddressVotes: 3,
  /** Queries of one lookup in flight. */
  dhtAlpha: 10,
  /** Nearest nodes that a quick lookup asks: BEP 5 stores at 8. */
  dhtQuickNodes: 8,
  /** Nearest nodes that a thorough one asks: libtorrent stores at 8 of about 20, which each finds for itself. */
  dhtThoroughNodes: 32,
  /** Holders asked again at most so often, `dhtNodeIntervalMs` apart: a lone holder of 500 peers needs 20 for 98 %. */
  dhtThoroughRounds: 24,
  /** A thorough lookup ends when a smaller share of what a round names is new: that share of the holders' peers is unseen. */
  dhtYieldKnee: 0.01,
  /** Nodes of one /24 (/48) among the nearest. */
  dhtNearestPerPrefix: 2,
  /** Contacts that one lookup keeps; the farthest go first. */
  dhtContactsPerLookup: 2_000,
  /** Known nodes that a lookup starts from; one whose contacts may not be asked yet looks for others so often. */
  dhtSeeds: 16,
  dhtSeedAgainMs: 200,
  /** A reply with fewer `values` than this names all that its node has: clients cap at 25 and more. */
  dhtFullReplyValues: 20,
  /** The nodes of an earlier session get this long before bootstrap nodes are asked, too. */
  dhtSavedNodesMs: 1_500,
  /** Nodes known to answer after which joining is done at the latest, and queries that it may take. */
  dhtEntryPool: 256,
  dhtEntryQueries: 600,
  /** Contacts named while joining that lookups start from, too. */
  dhtRumours: 1_000,
  /** Queries in one pass of a lookup (usual: 15-60); a chain of ever nearer nodes ends here. */
  dhtQueriesPerPass: 1_000,
  /** Nodes in one bucket of the IPv6 table, as in k-rpc's; queries of the tables' upkeep at one time. */
  dhtBucketNodes: 20,
  dhtUpkeepQueries: 16,
  /** Observations kept for the consumers of one lookup. */
  dhtObservationsPerLookup: 100_000,
  /** Addresses taken from one bootstrap name. */
  dhtAddressesPerRouter: 4,
  /** Name resolution of one bootstrap host. */
  dhtResolveTimeoutMs: 5_000,
  /** Nodes of an earlier session that are asked at bootstrap. */
  dhtSavedNodes: 200,
  /** Nodes known to answer with which lookups may start. */
  dhtEntryNodes: 8,
  /** Nodes named by others (BEP 5 PORT, .torrent `nodes`) that are being pinged at one time; more are ignored. */
  dhtPendingPings: 64,
  /** Asked for; the system caps it (net.core.rmem_max). At the Linux default of 212 kB replies are lost from 256 in flight. */
  udpReceiveBufferBytes: 4_194_304,

  // Trackers (BEP 3, 15, 23, 48).
  /** Peers asked for in one announce; trackers cap it themselves at 50-200. */
  numwant: 200,
  /** Peers read from one announce reply. */
  trackerPeers: 2_000,
  /** An HTTP tracker's body, after decompression. */
  trackerBodyBytes: 1_048_576,
  /** Redirects followed; each is judged by the address policy like the first URL. */
  trackerRedirects: 3,
  /** One HTTP exchange, name resolution included. */
  trackerHttpTimeoutMs: 10_000,
  /** First UDP retransmit; BEP 15 sets 15 · 2^n, which no one who waits at a terminal would accept. */
  trackerUdpTimeoutMs: 3_000,
  trackerUdpRetransmits: 3,
  /** Where the tracker has another address of this family to try. */
  trackerUdpRetransmitsBeforeNext: 1,
  /** A connection id may be used for one minute after it came (BEP 15). */
  trackerConnectionIdMs: 60_000,
  /** Where a tracker names no interval. */
  trackerIntervalS: 1_800,
  /** Bounds on what a tracker may name as an interval. */
  trackerIntervalFloorS: 60,
  trackerIntervalCeilingS: 86_400,
  /** A `stopped` gets this long when the process ends. */
  trackerStopTimeoutMs: 3_000,
  /** Attempts at a `stopped` that an earlier process owed. */
  trackerStopAttempts: 3,
  /** `stopped` messages sent at once for earlier processes. */
  trackerStopsInFlight: 32,
  /** First UDP retransmit of a `stopped`: three sendings fit into trackerStopTimeoutMs. */
  trackerStopRetransmitMs: 750,
  /** A longer tracker URL is not asked; with BEP 41 it has to fit into one datagram. */
  trackerUrlChars: 1_024,
  /** Resolved addresses tried per family, when the first cannot be reached. */
  trackerAddressesPerFamily: 2,
  /** Once one family has its reply (BEP 7), the other gets this much longer. */
  trackerSecondFamilyMs: 3_000,
  /** An announce waits this long in all for the address policy's rate of new endpoints. */
  trackerAdmissionWaitMs: 10_000,
  /** A UDP reply over this is dropped: 200 IPv6 peers make 3,620 B. */
  trackerUdpPacketBytes: 8_192,
  /** Connection ids kept at once, the oldest go first. */
  trackerConnectionIds: 1_000,
  /** Hashes in one scrape: what fits a UDP packet (BEP 15), and what HTTP trackers take (opentracker: 64). */
  trackerUdpScrapeHashes: 74,
  trackerHttpScrapeHashes: 50,
  /** Characters kept of what a tracker says. */
  trackerWordsChars: 200,
  /** A longer `tracker id` is not echoed. */
  trackerIdBytes: 256,
  /** After n failures in a row a tracker is left alone for 15 s · 2^(n-1), at most an hour. */
  trackerBackoffS: 15,
  trackerBackoffCeilingS: 3_600,
  /** `retry in: never` (BEP 31) is believed this long: trackers get repaired. */
  trackerNeverS: 2_592_000,
  /** The announce journal is compacted above this size, or twice what the last compaction left. */
  trackerJournalBytes: 1_048_576,
  /** (tracker, hash) pairs remembered; the oldest go first. */
  trackerJournalPairs: 20_000,

  // Wire sessions (BEP 3, 9, 10, 11).
  dialTimeoutMs: 5_000,
  handshakeTimeoutMs: 5_000,
  /** MSE: bytes of each padding (its specification says 512). */
  msePadBytes: 512,
  /** MSE: a longer initial payload of a peer that dialled us is refused; honest ones are a handshake of 68 bytes. */
  mseInitialPayloadBytes: 4_096,
  /** All attempts at one peer, transport after transport, until its handshake: a silent peer costs three handshake timeouts. */
  visitAttemptsMs: 15_000,
  /** After the handshake: the extension handshake and what says the role. */
  extensionTimeoutMs: 5_000,
  /** A wire session's whole life unless `--stay` says otherwise. Held sessions take real clients' places: never over 95 s. */
  sessionStayMs: 15_000,
  sessionStayCeilingMs: 95_000,
  /** After the first PEX message a session stays this much longer: libtorrent splits what does not fit. */
  afterPexMs: 2_000,
  /** A message before the extension handshake: bitfields of 4 M pieces are 512 KiB, but those come from real torrents with known piece counts. */
  messageBytesBeforeExtension: 65_536,
  messageBytes: 1_048_576,
  /** All bytes one session may receive: metadata at its cap plus a generous PEX share. */
  sessionBytes: 12_582_912,
  /** Entries read from one PEX message (BEP 11: at most 50 added and 50 dropped; libtorrent sends up to 100). */
  pexEntries: 200,
  /** Messages of PEX read in one session. */
  pexMessages: 8,
  /** BEP 9; webtorrent's cap is 10 MB, libtorrent's 3-30 MB. */
  metadataBytes: 8_388_608,
  /** BEP 9: pieces of 16 KiB. */
  metadataPieceBytes: 16_384,
  metadataPieceTimeoutMs: 8_000,
  /** Requests for metadata pieces on their way to one peer: libtorrent and Transmission refuse floods. */
  metadataRequestsInFlight: 4,
  /** Lazy bitfields and super-seeds (BEP 16) look like leeches: HAVEs are collected this long before the verdict. */
  roleWaitMs: 3_000,
  /** Messages read in one session: a peer that has HAVEs for every piece instead of a bitfield stays under it. */
  sessionMessages: 100_000,
  /** How often a session asks again whether it is still wanted. */
  sessionReviewMs: 1_000,
  /** Nesting and values of an extension message (BEP 9, 10, 11); honest ones nest 2 deep and hold a few dozen. */
  extensionDepth: 6,
  extensionItems: 1_000,
  /** Extensions kept of one peer's `m`, and characters of a name; µTorrent names about 10. */
  extensionNames: 32,
  extensionNameChars: 32,
  /** Highest piece index that a HAVE may name: what a bitfield of `messageBytesBeforeExtension` holds. */
  pieceIndex: 524_287,
  /** Characters kept of a client's name (`v` of BEP 10). */
  clientNameChars: 64,

  // Listening for peers.
  /** Connections at once that others opened, where the system's descriptors allow it. */
  inboundConnections: 16_384,
  /** Descriptors where the system does not say: macOS grants least. */
  descriptorsUnknown: 256,
  /** Descriptors kept free for store, listeners and sockets, beside those of our own sessions. */
  descriptorsReserved: 64,
  /** However few descriptors there are; at worst a dial of ours waits. */
  inboundConnectionsLeast: 16,
  /** Taken in one second; the rest are closed at once. A tracker's list sends a few dozen at its worst. */
  inboundPerSecond: 200,
  /** At once that have not yet said which swarm they want. */
  inboundUnknown: 512,
  /** Metadata pieces sent to one peer that dialled us: 128 KiB, what most torrents have; as many more are refused in words. */
  metadataPiecesServed: 8,
  /** A round that listens ends when nobody new has called for this long: clients retry a peer they know within a minute. */
  inboundQuietMs: 30_000,
  /** And at the latest then: anybody can call under ever new names. */
  inboundListenMs: 600_000,

  // uTP (BEP 29).
  /** A UDP payload that we send: fits the least MTU of IPv6 (1,280 B), and so any tunnel or VPN, without probing. */
  utpPacketBytes: 1_232,
  /** Advertised when nothing is unread: twice what metadataRequestsInFlight can bring, so that it never slows an honest peer. */
  utpReceiveWindowBytes: 131_072,
  /** A packet further ahead than this is dropped; our selective ACK then has at most 32 bytes. */
  utpReorderPackets: 256,
  /** Ceiling of the congestion window, whatever delay the other side claims. */
  utpSendWindowBytes: 65_536,
  /** Congestion window of a new connection, packets (RFC 6928 allows 10; a handshake needs 1). */
  utpInitialPackets: 4,
  /** Packets unacknowledged at once, however small; an ACK older than so many packets is taken for spoofed. */
  utpPacketsInFlight: 128,
  /** Bytes queued behind the windows before a writer has to wait. */
  utpWriteQueueBytes: 16_384,
  /** LEDBAT's target for the queueing delay that we cause (BEP 29: 100 ms). */
  utpTargetDelayUs: 100_000,
  /** Retransmission timeout before the first round trip is known, and its bounds (BEP 29: 1,000 and at least 500 ms). */
  utpRetransmitMs: 1_000,
  utpRetransmitFloorMs: 500,
  utpRetransmitCeilingMs: 8_000,
  /** A packet unanswered after so many transmissions ends the connection: at 20 % loss each way 3 in 10,000 packets are so unlucky. */
  utpTransmissions: 8,
  /** SYNs of one attempt, at 0, 1 and 3 s. */
  utpSynTransmissions: 3,
  /** Duplicate ACKs, or packets received after it, that prove a packet lost (BEP 29). */
  utpDuplicateAcks: 3,
  /** Extensions read in one packet; known clients send at most 2. */
  utpExtensions: 8,
  /** Connections at once, both ways. */
  utpConnections: 16_384,
  /** Inbound connections that have shown nothing but a SYN, which anybody can forge. */
  utpHalfOpen: 256,
  utpHalfOpenPerAddress: 8,
  utpHalfOpenMs: 5_000,
  /** A connection that was cut short tries for so long to get its FIN through; one that ended, as often as any packet. */
  utpFarewellMs: 3_000,
  /** Closed connections remembered, so that who still talks to them is told once. */
  utpClosedRemembered: 4_096,

  // Rounds.
  /** Peers known in one swarm; the largest seen had about 100,000. */
  peersPerSwarm: 250_000,
  /** Tellers remembered for one peer; above this they are counted only. */
  tellersPerPeer: 64,
  /** Observations between collector and store before collectors wait. */
  observationQueue: 10_000,
  /** Ctrl-C or deadline: sessions and lookups get this long to end. */
  drainMs: 3_000,

  /** One lookup; a thorough one asks its holders up to `dhtThoroughRounds` times, 2 s apart. */
  lookupMs: 20_000,
  lookupThoroughMs: 60_000,
  /** `left` of an announce while the size is not known: anything above 0 says that we are no seed. */
  unknownLeftBytes: 16_384,
  /** How long a quick lookup waits for one tracker: two retransmits over UDP. */
  trackerPatienceMs: 12_000,
  /** DHT lookups at once over all swarms; they share the queries in flight. */
  lookupsAtOnce: 16,
  /** Announces at once over all swarms. */
  announcesAtOnce: 64,
  /** `--depth quick`: passes over the DHT for one wire hash, and how many when nobody has answered yet. */
  quickPasses: 2,
  quickPassesUnanswered: 5,
  quickPauseMs: 3_000,
  /** `--depth thorough`: a holder names a random 100 of its peers at a time, so that one pass sees a part (see docs). */
  thoroughPassesMin: 1,
  thoroughPassesMax: 8,
  thoroughPauseMs: 2_000,
  /** A thorough lookup ends when a pass adds less than this share of what is known. */
  thoroughKnee: 0.02,
  /** Sessions of one swarm that fetch metadata at once: one honest peer is enough, liars must not hold it up. */
  metadataFetchers: 8,
  /** After this a fetcher does not count among them any more: a session with nothing else to wait for stays about 3 s. */
  metadataHeadStartMs: 1_000,
  /** A dial that was over a rate waits this long before the next try. */
  redialPauseMs: 1_000,
  /** Dials put off so often are given up for the round. */
  redials: 30,

  // Places.
  /** An accuracy radius above this means that a database knows the country only: its point is then a country's middle. */
  cityRadiusKm: 200,
  /** A picture shows a place only for this many peers: fewer could be one household. */
  peersPerSymbol: 5,
  /** A picture counts places so near to a larger one as that one: suburbs. Well under 111, one degree of latitude. */
  gatherKm: 75,

  // Store.
  /** A fact waits at most this long before it is written: what a kill -9 may cost. */
  storeFlushMs: 2_000,
  /** Entries that start a write of their own; LevelDB is quickest with batches of 1,000-10,000. */
  storeFlushEntries: 5_000,
  /** Entries in the write buffer at which `ready()` makes collectors wait. */
  storeBufferEntries: 20_000,
  /** Rows read at a time, over all ranges that one query merges; a range gets at least `storeRangeRows`. */
  storeReadRows: 8_192,
  storeRangeRows: 16,
  /** Endpoints whose numbers, and numbers whose endpoints, stay in memory: about 150 B each. */
  addressCacheEntries: 65_536,
  /** Peer numbers set aside at a time; a crash wastes what is left. 2^40 exist. */
  peerNumberBlock: 4_096,
  /** Uncompressed, of a block of a sealed round: what one look at a peer has to decode. Safe range: 4,096-65,536. */
  storeBlockBytes: 16_384,
  /** Distinct times kept for one teller of a sealed round, to which its facts then point; others stand in the facts. */
  storeTellerTimes: 128,
  /** Cache of each LevelDB of a store: a year has 52 weeks, and so many files may be open in each. */
  storeCacheBytes: 4_194_304,
  storeOpenFiles: 64,
  /** Rows derived from a sealed round that are written at a time. */
  storeDerivedRows: 20_000,
  /** Rounds in which `explain` reads a peer's tellers: its first one and the latest. */
  explainRounds: 6,
  /** Tellers of tellers that `explain` follows back. */
  explainDepth: 8,
  /** Raw addresses are dropped so long after the week in which they were last met. */
  addressRetentionMs: 2_592_000_000,
  /** A store that paused for want of space looks again after this. */
  storeSpaceCheckMs: 5_000,
  /** Bytes of a study key (HMAC-SHA-256: as many as the hash has), and of the pseudonyms made with it: 2^64 peers before two are likely to share one. */
  studyKeyBytes: 32,
  pseudonymBytes: 16,

  // Exports.
  /** An export shows a combination of country, network and client only for this many hosts: fewer could be one household. */
  exportCellHosts: 5,
  /** Combinations counted apart (clients name themselves); further ones show nothing. About 1 kB each. */
  exportCells: 100_000,
  /** Rows of a Parquet row group: what a writer keeps in memory, and what readers skip by. */
  exportRowGroupRows: 65_536,
  /** Bytes kept before they go to the file. */
  exportBufferBytes: 262_144,
  /** Rows between two reports of progress. */
  exportProgressRows: 10_000,

  // Address policy.
  /** Endpoints in each of the two generations that the caps of the policy look back on (about 200 B each); the oldest go first. */
  policyHistory: 200_000,
} as const
