/* KRPC of the simulated nodes (BEP 5, 32, 33, 51). */
#ifndef KRPC_H
#define KRPC_H
#include <stddef.h>
#include <stdint.h>
#include "world.h"

enum { REPLY_BYTES = 2048, TID_BYTES = 32 };
enum method { PING, FIND_NODE, GET_PEERS, SAMPLE, ANNOUNCE_PEER, UNKNOWN, METHODS };

struct query {
  enum method method;
  const uint8_t *tid;
  int tid_length;
  const uint8_t *id, *target; /* 20 bytes, or NULL */
  int want4, want6, scrape, noseed, read_only;
};

/* 0 when the bytes are no query. */
int parse_query(const uint8_t *bytes, size_t length, struct query *query);
/* `peer` is the asker as compact endpoint, `interval` the number of the BEP 51 interval. Returns the length. */
size_t answer(uint32_t node, const struct query *query, enum family family, const uint8_t *peer, uint64_t interval, uint8_t *out);
#endif
