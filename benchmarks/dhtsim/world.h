/* The simulated DHT: who is where, who is dead, who knows whom, who holds which peers. All follows from the seed. */
#ifndef WORLD_H
#define WORLD_H
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

enum { BUCKET = 8, STORED_AT = 8, FILTER_BYTES = 256 };
enum family { V4, V6 };

struct options {
  uint64_t seed;
  int nodes, swarms, peers;
  int dead, late, loss;       /* per cent */
  int delay_ms, late_ms;      /* of an answer */
  int seeds;                  /* per cent of the peers */
  int per_prefix;             /* nodes in one /24 (/48) */
  int port;
  int v4, v6;
  int hard;                   /* imperfect tables and announcements, and the next three enforced */
  int stored_peers;           /* of one swarm at one node; 0: no limit */
  int send_rate;              /* bytes a second and node; 0: no limit */
  int ban;                    /* 0: bans are counted only */
  int values4, values6;       /* in one reply */
  int interval_s;             /* BEP 51 */
};

/* What one node holds of one swarm. `peers` is in random order, and is shuffled further with each reply. */
struct holding {
  uint32_t node;
  int swarm;
  int count;
  uint16_t *peers;
  uint8_t *filters[2]; /* BEP 33, by family: seeds, then downloaders; made when first asked for */
};

struct swarm {
  uint8_t hash[20];
  int holders;
  struct holding *holding;
};

extern struct options options;

/* Nodes are numbered in the order of their ids. */
void build_world(void);
const uint8_t *node_id(uint32_t node);
int is_dead(uint32_t node);
int is_late(uint32_t node);
void node_address(uint32_t node, enum family family, uint8_t *out /* 4 or 16 bytes */);
/* -1 when no node has the address. */
int64_t node_at(const uint8_t *address, enum family family);
/* The contacts that `node` would name for `target`, at most BUCKET; returns how many. */
int contacts_for(uint32_t node, const uint8_t target[20], uint32_t *out);

struct holding *holding_of(uint32_t node, const uint8_t hash[20]);
/* All that a node holds; returns how many. */
int holdings_of(uint32_t node, struct holding ***out);
const uint8_t *hash_of(const struct holding *holding);
void peer_compact(const struct holding *holding, uint16_t peer, enum family family, uint8_t *out /* 6 or 18 bytes */);
int is_seed(const struct holding *holding, uint16_t peer);
const uint8_t *filters_of(struct holding *holding, enum family family);

/* Random numbers for what depends on the order of queries. */
uint64_t draw(void);
/* The truth as JSON: bootstrap nodes, and per swarm the union of what live nodes hold. */
void write_truth(FILE *file);
#endif
