#include "world.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "sha1.h"

/* Hard mode, as measured at real networks: a table lacks a fifth of the neighbourhood, and a lookup that precedes an
 * announcement finds three of five among the nearest 20. */
enum { UNKNOWN_PERCENT = 20, FOUND_PERCENT = 60, ANNOUNCE_AMONG = 20, NEAREST_MAX = 64, BOOTSTRAP = 4 };
/* Tags keep the uses of the seed apart. */
enum { NODE_ID = 1, SWARM_HASH, DEAD, LATE, PLACE, PEER, SEED, KNOWS, ANNOUNCE };

struct options options;

struct node {
  uint8_t id[20];
  uint64_t prefix; /* first 8 bytes of the id: enough to order by distance */
};
static struct node *nodes;
static uint32_t *slot_of, *node_in; /* node <-> place among the addresses */
static struct swarm *swarms;
static int *swarm_by_hash, hash_mask; /* open addressing; -1 is free */
static struct holding **held;         /* sorted by node */
static int held_count;
static uint64_t state = 1;

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t mixed(uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static uint64_t drawn(int tag, uint64_t a, uint64_t b) { return mixed(mixed(mixed(options.seed * 64 + (uint64_t)tag) + a) + b); }

uint64_t draw(void) { return mixed(state++); }

static void make_id(int tag, uint64_t index, uint8_t id[20]) {
  for (int part = 0; part < 3; part++) {
    uint64_t bits = drawn(tag, index, (uint64_t)part);
    memcpy(id + 8 * part, &bits, part < 2 ? 8 : 4);
  }
}

static uint64_t prefix_of(const uint8_t id[20]) {
  uint64_t prefix = 0;
  for (int i = 0; i < 8; i++) prefix = prefix << 8 | id[i];
  return prefix;
}

static int by_id(const void *a, const void *b) { return memcmp(((const struct node *)a)->id, ((const struct node *)b)->id, 20); }

const uint8_t *node_id(uint32_t node) { return nodes[node].id; }
int is_dead(uint32_t node) { return (int)(drawn(DEAD, node, 0) % 100) < options.dead; }
int is_late(uint32_t node) { return (int)(drawn(LATE, node, 0) % 100) < options.late; }

/* Nodes have 127.1.0.0 to 127.127.255.255, or 2001:db8:0-7fff::/48; peers the upper halves. */
void node_address(uint32_t node, enum family family, uint8_t *out) {
  uint32_t slot = slot_of[node], prefix = slot / (uint32_t)options.per_prefix, host = 1 + slot % (uint32_t)options.per_prefix;
  if (family == V4) {
    uint32_t address = htonl(0x7f010000u + prefix * 256 + host);
    memcpy(out, &address, 4);
  } else {
    memset(out, 0, 16);
    memcpy(out, "\x20\x01\x0d\xb8", 4);
    out[4] = (uint8_t)(prefix >> 8), out[5] = (uint8_t)prefix;
    out[14] = (uint8_t)(host >> 8), out[15] = (uint8_t)host;
  }
}

int64_t node_at(const uint8_t *address, enum family family) {
  int64_t prefix, host;
  if (family == V4) {
    uint32_t number;
    memcpy(&number, address, 4);
    number = ntohl(number);
    if (number < 0x7f010000u) return -1;
    prefix = (number - 0x7f010000u) >> 8, host = number & 255;
  } else {
    static const uint8_t zeros[8];
    if (memcmp(address, "\x20\x01\x0d\xb8", 4) != 0 || memcmp(address + 6, zeros, 8) != 0) return -1;
    prefix = address[4] << 8 | address[5], host = address[14] << 8 | address[15];
  }
  if (host < 1 || host > options.per_prefix) return -1;
  int64_t slot = prefix * options.per_prefix + host - 1;
  return slot < options.nodes ? (int64_t)node_in[slot] : -1;
}

/* The nodes that share the first `bits` bits with `target`: [*low, *high). */
static void sharing(uint64_t target, int bits, int *low, int *high) {
  uint64_t rest = bits == 0 ? ~0ull : bits >= 64 ? 0 : ~0ull >> bits;
  uint64_t first = target & ~rest, last = target | rest;
  int from = 0, to = options.nodes;
  while (from < to) {
    int middle = (from + to) / 2;
    if (nodes[middle].prefix < first) from = middle + 1;
    else to = middle;
  }
  *low = from, to = options.nodes;
  while (from < to) {
    int middle = (from + to) / 2;
    if (nodes[middle].prefix <= last) from = middle + 1;
    else to = middle;
  }
  *high = from;
}

/* Whether `node` has heard of `other`, which is near to it. */
static int knows(uint32_t node, uint32_t other) {
  return !options.hard || (int)(drawn(KNOWS, node, other) % 100) >= UNKNOWN_PERCENT;
}

static int alive(uint32_t unused, uint32_t node) { return (void)unused, !is_dead(node); }

/* The `wanted` nodes nearest to `target` of those that `eligible(self, node)` admits, nearest first. */
static int nearest(uint64_t target, int wanted, uint32_t self, int (*eligible)(uint32_t, uint32_t), uint32_t *out) {
  int bits = 63 - __builtin_clzll((unsigned long long)(options.nodes / wanted) | 1), low, high, count;
  /* Whoever shares more bits is nearer, so that the nearest are in the first range which holds enough. */
  for (;; bits--) {
    sharing(target, bits, &low, &high);
    if (high - low < wanted && bits > 0) continue;
    count = 0;
    for (int i = low; i < high; i++) {
      if (!eligible(self, (uint32_t)i)) continue;
      uint64_t distance = nodes[i].prefix ^ target;
      int at = count < wanted ? count++ : wanted;
      if (at == wanted && (nodes[out[wanted - 1]].prefix ^ target) < distance) continue;
      if (at == wanted) at--;
      for (; at > 0 && (nodes[out[at - 1]].prefix ^ target) > distance; at--) out[at] = out[at - 1];
      out[at] = (uint32_t)i;
    }
    if (count == wanted || bits == 0) return count;
  }
}

/* A node that lived long knows BUCKET nodes for each number of leading bits shared with its own id, the dead among
 * them, and near itself all (in hard mode: most). Its tables never change. */
int contacts_for(uint32_t node, const uint8_t target[20], uint32_t *out) {
  uint64_t wanted = prefix_of(target), own = nodes[node].prefix;
  int shared = own == wanted ? 64 : __builtin_clzll(own ^ wanted), low, high;
  if (shared < 63) {
    sharing(wanted, shared + 1, &low, &high);
    if (high - low >= 2 * BUCKET) {
      for (int i = 0; i < BUCKET; i++) {
        int from = low + (int)((int64_t)(high - low) * i / BUCKET), to = low + (int)((int64_t)(high - low) * (i + 1) / BUCKET);
        out[i] = (uint32_t)(from + (int)(drawn(KNOWS, node, (uint64_t)(shared * BUCKET + i)) % (uint64_t)(to - from)));
      }
      return BUCKET;
    }
  }
  return nearest(wanted, BUCKET, node, knows, out);
}

static int swarm_index(const uint8_t hash[20]) {
  for (int at = (int)(mixed(prefix_of(hash)) & (uint64_t)hash_mask); swarm_by_hash[at] >= 0; at = (at + 1) & hash_mask)
    if (memcmp(swarms[swarm_by_hash[at]].hash, hash, 20) == 0) return swarm_by_hash[at];
  return -1;
}

struct holding *holding_of(uint32_t node, const uint8_t hash[20]) {
  int index = swarm_index(hash);
  if (index < 0) return NULL;
  for (int i = 0; i < swarms[index].holders; i++)
    if (swarms[index].holding[i].node == node) return &swarms[index].holding[i];
  return NULL;
}

int holdings_of(uint32_t node, struct holding ***out) {
  int from = 0, to = held_count;
  while (from < to) {
    int middle = (from + to) / 2;
    if (held[middle]->node < node) from = middle + 1;
    else to = middle;
  }
  *out = held + from;
  while (to < held_count && held[to]->node == node) to++;
  return to - from;
}

const uint8_t *hash_of(const struct holding *holding) { return swarms[holding->swarm].hash; }
int is_seed(const struct holding *holding, uint16_t peer) {
  return (int)(drawn(SEED, (uint64_t)holding->swarm, peer) % 100) < options.seeds;
}

static void compact(int swarm, uint16_t peer, enum family family, uint8_t *out) {
  uint64_t bits = drawn(PEER, (uint64_t)swarm, peer);
  uint16_t port = htons((uint16_t)(10000 + (bits >> 40) % 50000));
  if (family == V4) {
    uint32_t address = htonl(0x7f800000u | (bits & 0x7fffff));
    memcpy(out, &address, 4);
  } else {
    uint64_t host = mixed(bits);
    memcpy(out, "\x20\x01\x0d\xb8", 4);
    out[4] = (uint8_t)(0x80 | (bits & 0x7f)), out[5] = (uint8_t)(bits >> 8);
    memset(out + 6, 0, 2);
    memcpy(out + 8, &host, 8);
  }
  memcpy(out + (family == V4 ? 4 : 16), &port, 2);
}

void peer_compact(const struct holding *holding, uint16_t peer, enum family family, uint8_t *out) {
  compact(holding->swarm, peer, family, out);
}

/* BEP 33: two bits of 2,048 from the SHA-1 of the address (of IPv6 its first 8 bytes). */
const uint8_t *filters_of(struct holding *holding, enum family family) {
  if (holding->filters[family] != NULL) return holding->filters[family];
  uint8_t *filters = holding->filters[family] = calloc(2, FILTER_BYTES);
  for (int i = 0; i < holding->count; i++) {
    uint8_t address[18], digest[20];
    peer_compact(holding, holding->peers[i], family, address);
    sha1_short(address, family == V4 ? 4 : 8, digest);
    uint8_t *filter = filters + (is_seed(holding, holding->peers[i]) ? 0 : FILTER_BYTES);
    for (int pair = 0; pair < 2; pair++) {
      int bit = (digest[2 * pair] | digest[2 * pair + 1] << 8) % (FILTER_BYTES * 8);
      filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
  }
  return filters;
}

/* Where one announcement goes: to the nearest, dead or not; in hard mode to the nearest that the announcer found of
 * those that were alive. */
static int announced_to(int count, int swarm, int peer, int *out) {
  int stored = 0;
  for (int i = 0; i < count && stored < STORED_AT; i++) {
    uint64_t key = (uint64_t)peer << 8 | (uint64_t)i;
    if (!options.hard || (int)(drawn(ANNOUNCE, (uint64_t)swarm, key) % 100) < FOUND_PERCENT) out[stored++] = i;
  }
  return stored;
}

static int anybody(uint32_t self, uint32_t node) { return (void)self, (void)node, 1; }

static void announce_swarm(int index) {
  struct swarm *swarm = &swarms[index];
  uint32_t near[NEAREST_MAX];
  uint64_t target = prefix_of(swarm->hash);
  int candidates = options.hard ? nearest(target, ANNOUNCE_AMONG, 0, alive, near) : nearest(target, STORED_AT, 0, anybody, near);
  int limit = options.stored_peers > 0 && options.stored_peers < options.peers ? options.stored_peers : options.peers;
  swarm->holders = candidates;
  swarm->holding = calloc((size_t)candidates, sizeof *swarm->holding);
  for (int i = 0; i < candidates; i++)
    swarm->holding[i] = (struct holding){.node = near[i], .swarm = index, .peers = malloc((size_t)limit * sizeof(uint16_t))};
  for (int peer = 0; peer < options.peers; peer++) {
    int places[STORED_AT], stored = announced_to(candidates, index, peer, places);
    for (int i = 0; i < stored; i++) {
      struct holding *holding = &swarm->holding[places[i]];
      if (holding->count < limit) holding->peers[holding->count++] = (uint16_t)peer;
      /* A full libtorrent node forgets, by even chance, the newcomer or another. */
      else if (draw() & 1) holding->peers[draw() % (uint64_t)limit] = (uint16_t)peer;
    }
  }
}

static int by_node(const void *a, const void *b) {
  const struct holding *left = *(struct holding *const *)a, *right = *(struct holding *const *)b;
  return left->node != right->node ? (left->node < right->node ? -1 : 1) : left->swarm - right->swarm;
}

void build_world(void) {
  size_t count = (size_t)options.nodes;
  state = mixed(options.seed);
  nodes = calloc(count, sizeof *nodes);
  slot_of = malloc(count * sizeof *slot_of);
  node_in = malloc(count * sizeof *node_in);
  for (size_t i = 0; i < count; i++) make_id(NODE_ID, i, nodes[i].id), nodes[i].prefix = prefix_of(nodes[i].id);
  qsort(nodes, count, sizeof *nodes, by_id);
  for (uint32_t i = 0; i < count; i++) node_in[i] = i;
  for (uint32_t i = (uint32_t)count - 1; i > 0; i--) {
    uint32_t other = (uint32_t)(drawn(PLACE, i, 0) % (i + 1)), moved = node_in[i];
    node_in[i] = node_in[other], node_in[other] = moved;
  }
  for (uint32_t slot = 0; slot < count; slot++) slot_of[node_in[slot]] = slot;

  swarms = calloc((size_t)options.swarms + 1, sizeof *swarms);
  for (hash_mask = 15; hash_mask < 4 * options.swarms; hash_mask = hash_mask * 2 + 1) continue;
  swarm_by_hash = malloc(((size_t)hash_mask + 1) * sizeof *swarm_by_hash);
  memset(swarm_by_hash, 0xff, ((size_t)hash_mask + 1) * sizeof *swarm_by_hash);
  for (int i = 0; i < options.swarms; i++) {
    make_id(SWARM_HASH, (uint64_t)i, swarms[i].hash);
    int at = (int)(mixed(prefix_of(swarms[i].hash)) & (uint64_t)hash_mask);
    while (swarm_by_hash[at] >= 0) at = (at + 1) & hash_mask;
    swarm_by_hash[at] = i;
    announce_swarm(i);
    held_count += swarms[i].holders;
  }
  held = malloc(((size_t)held_count + 1) * sizeof *held);
  for (int i = 0, at = 0; i < options.swarms; i++)
    for (int j = 0; j < swarms[i].holders; j++) held[at++] = &swarms[i].holding[j];
  qsort(held, (size_t)held_count, sizeof *held, by_node);
}

static void write_endpoint(FILE *file, const uint8_t *compact, enum family family) {
  char text[INET6_ADDRSTRLEN];
  const uint8_t *port = compact + (family == V4 ? 4 : 16);
  inet_ntop(family == V4 ? AF_INET : AF_INET6, compact, text, sizeof text);
  fprintf(file, family == V4 ? "\"%s:%d\"" : "\"[%s]:%d\"", text, port[0] << 8 | port[1]);
}

static void write_stored(FILE *file, int index, enum family family) {
  struct swarm *swarm = &swarms[index];
  uint8_t *stored = calloc((size_t)options.peers + 1, 1);
  for (int i = 0; i < swarm->holders; i++) {
    struct holding *holding = &swarm->holding[i];
    if (is_dead(holding->node)) continue;
    for (int j = 0; j < holding->count; j++) stored[holding->peers[j]] = 1;
  }
  const char *separator = "";
  for (int peer = 0; peer < options.peers; peer++) {
    uint8_t bytes[18];
    if (!stored[peer]) continue;
    compact(index, (uint16_t)peer, family, bytes);
    fputs(separator, file);
    write_endpoint(file, bytes, family);
    separator = ",";
  }
  free(stored);
}

void write_truth(FILE *file) {
  int live = 0;
  for (uint32_t i = 0; i < (uint32_t)options.nodes; i++) live += !is_dead(i);
  fprintf(file, "{\"nodes\":%d,\"liveNodes\":%d", options.nodes, live);
  for (enum family family = V4; family <= V6; family++) {
    if (!(family == V4 ? options.v4 : options.v6)) continue;
    fprintf(file, ",\n\"bootstrap%d\":[", family == V4 ? 4 : 6);
    for (int slot = 0, named = 0; slot < options.nodes && named < BOOTSTRAP; slot++) {
      if (is_dead(node_in[slot]) || is_late(node_in[slot])) continue;
      uint8_t bytes[18];
      uint16_t port = htons((uint16_t)options.port);
      node_address(node_in[slot], family, bytes);
      memcpy(bytes + (family == V4 ? 4 : 16), &port, 2);
      if (named++ > 0) fputc(',', file);
      write_endpoint(file, bytes, family);
    }
    fputc(']', file);
  }
  fputs(",\n\"swarms\":[", file);
  for (int i = 0; i < options.swarms; i++) {
    fputs(i > 0 ? ",\n{\"hash\":\"" : "\n{\"hash\":\"", file);
    for (int j = 0; j < 20; j++) fprintf(file, "%02x", swarms[i].hash[j]);
    fputc('"', file);
    for (enum family family = V4; family <= V6; family++) {
      if (!(family == V4 ? options.v4 : options.v6)) continue;
      fprintf(file, ",\"peers%d\":[", family == V4 ? 4 : 6);
      write_stored(file, i, family);
      fputc(']', file);
    }
    fputc('}', file);
  }
  fputs("]}\n", file);
}
