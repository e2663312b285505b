#include "krpc.h"
#include <string.h>

enum { DEPTH_MAX = 8, SAMPLES = 20 };

struct text {
  const uint8_t *bytes;
  int length;
};

static int equals(struct text text, const char *word) { return text.length == (int)strlen(word) && memcmp(text.bytes, word, (size_t)text.length) == 0; }

/* Each reader returns the place after the value, or NULL. */
static const uint8_t *read_text(const uint8_t *at, const uint8_t *end, struct text *text) {
  int length = 0;
  if (at == NULL || at >= end || *at < '0' || *at > '9') return NULL;
  for (; at < end && *at >= '0' && *at <= '9'; at++)
    if ((length = length * 10 + *at - '0') > 65535) return NULL;
  if (at >= end || *at++ != ':' || end - at < length) return NULL;
  *text = (struct text){at, length};
  return at + length;
}

static const uint8_t *read_integer(const uint8_t *at, const uint8_t *end, long *number) {
  int negative = 0;
  *number = 0;
  if (at >= end || *at++ != 'i') return NULL;
  if (at < end && *at == '-') negative = 1, at++;
  for (; at < end && *at >= '0' && *at <= '9'; at++)
    if ((*number = *number * 10 + *at - '0') > 1000000000) return NULL;
  if (negative) *number = -*number;
  return at < end && *at == 'e' ? at + 1 : NULL;
}

static const uint8_t *skip(const uint8_t *at, const uint8_t *end, int depth) {
  struct text text;
  long number;
  if (at == NULL || at >= end || depth > DEPTH_MAX) return NULL;
  if (*at == 'i') return read_integer(at, end, &number);
  if (*at != 'l' && *at != 'd') return read_text(at, end, &text);
  for (at++; at != NULL && at < end && *at != 'e';) at = skip(at, end, depth + 1);
  return at != NULL && at < end ? at + 1 : NULL;
}

static const uint8_t *read_want(const uint8_t *at, const uint8_t *end, struct query *query) {
  struct text text;
  for (at++; at != NULL && at < end && *at != 'e';) {
    at = read_text(at, end, &text);
    if (at == NULL) return NULL;
    query->want4 |= equals(text, "n4");
    query->want6 |= equals(text, "n6");
  }
  return at != NULL && at < end ? at + 1 : NULL;
}

static const uint8_t *read_arguments(const uint8_t *at, const uint8_t *end, struct query *query) {
  struct text key, value;
  long number;
  for (at++; at < end && *at != 'e';) {
    at = read_text(at, end, &key);
    if (at == NULL || at >= end) return NULL;
    if (equals(key, "id") || equals(key, "target") || equals(key, "info_hash")) {
      at = read_text(at, end, &value);
      if (at == NULL || value.length != 20) return NULL;
      if (equals(key, "id")) query->id = value.bytes;
      else query->target = value.bytes;
    } else if (equals(key, "want") && *at == 'l') {
      at = read_want(at, end, query);
    } else if ((equals(key, "scrape") || equals(key, "noseed")) && *at == 'i') {
      at = read_integer(at, end, &number);
      if (equals(key, "scrape")) query->scrape = number == 1;
      else query->noseed = number == 1;
    } else {
      at = skip(at, end, 0);
    }
    if (at == NULL) return NULL;
  }
  return at < end ? at + 1 : NULL;
}

static enum method method_of(struct text name) {
  static const char *const names[] = {"ping", "find_node", "get_peers", "sample_infohashes", "announce_peer"};
  for (int i = 0; i < UNKNOWN; i++)
    if (equals(name, names[i])) return (enum method)i;
  return UNKNOWN;
}

int parse_query(const uint8_t *bytes, size_t length, struct query *query) {
  const uint8_t *at = bytes, *end = bytes + length;
  struct text key, value, method = {0}, kind = {0};
  long number;
  memset(query, 0, sizeof *query);
  if (length < 2 || *at++ != 'd') return 0;
  while (at < end && *at != 'e') {
    at = read_text(at, end, &key);
    if (at == NULL || at >= end) return 0;
    if (equals(key, "a") && *at == 'd') at = read_arguments(at, end, query);
    else if (equals(key, "q")) at = read_text(at, end, &method);
    else if (equals(key, "y")) at = read_text(at, end, &kind);
    else if (equals(key, "t")) {
      at = read_text(at, end, &value);
      query->tid = value.bytes, query->tid_length = at == NULL ? 0 : value.length;
    } else if (equals(key, "ro") && *at == 'i') {
      at = read_integer(at, end, &number);
      query->read_only = number == 1;
    } else at = skip(at, end, 0);
    if (at == NULL) return 0;
  }
  query->method = method_of(method);
  return at + 1 == end && equals(kind, "q") && method.length > 0 && query->tid != NULL && query->tid_length <= TID_BYTES &&
         query->id != NULL;
}

static uint8_t *put(uint8_t *out, const void *bytes, size_t length) {
  memcpy(out, bytes, length);
  return out + length;
}

static uint8_t *put_word(uint8_t *out, const char *word) { return put(out, word, strlen(word)); }

static uint8_t *put_text(uint8_t *out, const void *bytes, int length) {
  out += sprintf((char *)out, "%d:", length);
  return put(out, bytes, (size_t)length);
}

static uint8_t *put_nodes(uint8_t *out, uint32_t node, const uint8_t *target, enum family family) {
  uint32_t contacts[64];
  uint8_t bytes[BUCKET * 38], *at = bytes;
  int count = contacts_for(node, target, contacts);
  for (int i = 0; i < count; i++) {
    at = put(at, node_id(contacts[i]), 20);
    node_address(contacts[i], family, at);
    at += family == V4 ? 4 : 16;
    *at++ = (uint8_t)(options.port >> 8);
    *at++ = (uint8_t)options.port;
  }
  return put_text(put_word(out, family == V4 ? "5:nodes" : "6:nodes6"), bytes, (int)(at - bytes));
}

/* BEP 32: contacts of the family that was asked over, unless `want` says otherwise. */
static uint8_t *put_wanted_nodes(uint8_t *out, uint32_t node, const struct query *query, enum family family) {
  int unsaid = !query->want4 && !query->want6;
  if (options.v4 && (query->want4 || (unsaid && family == V4))) out = put_nodes(out, node, query->target, V4);
  if (options.v6 && (query->want6 || (unsaid && family == V6))) out = put_nodes(out, node, query->target, V6);
  return out;
}

static uint8_t *put_values(uint8_t *out, struct holding *holding, const struct query *query, enum family family) {
  int limit = family == V4 ? options.values4 : options.values6, size = family == V4 ? 6 : 18;
  out = put_word(out, "6:valuesl");
  /* Fisher and Yates, as far as the reply needs. */
  for (int i = 0, given = 0; i < holding->count && given < limit; i++) {
    int other = i + (int)(draw() % (uint64_t)(holding->count - i));
    uint16_t peer = holding->peers[other];
    holding->peers[other] = holding->peers[i], holding->peers[i] = peer;
    if (query->noseed && is_seed(holding, peer)) continue;
    uint8_t bytes[18];
    peer_compact(holding, peer, family, bytes);
    out = put_text(out, bytes, size);
    given++;
  }
  return put_word(out, "e");
}

/* As libtorrent does, a scrape is answered by filters and no values. */
static uint8_t *put_filters(uint8_t *out, struct holding *holding, enum family family) {
  const uint8_t *filters = filters_of(holding, family);
  out = put_text(put_word(out, "4:BFpe"), filters + FILTER_BYTES, FILTER_BYTES);
  return put_text(put_word(out, "4:BFsd"), filters, FILTER_BYTES);
}

/* BEP 51: within an interval the sample stays the same. */
static uint8_t *put_samples(uint8_t *out, uint32_t node, uint64_t interval) {
  struct holding **all;
  uint8_t samples[SAMPLES * 20];
  int count = holdings_of(node, &all), given = count < SAMPLES ? count : SAMPLES;
  for (int i = 0; i < given; i++) memcpy(samples + 20 * i, hash_of(all[((uint64_t)i + interval * SAMPLES) % (uint64_t)count]), 20);
  out += sprintf((char *)out, "3:numi%de", count);
  return put_text(put_word(out, "7:samples"), samples, given * 20);
}

static uint8_t *put_body(uint8_t *out, uint32_t node, const struct query *query, enum family family, uint64_t interval) {
  struct holding *holding = query->method == GET_PEERS ? holding_of(node, query->target) : NULL;
  if (holding != NULL && holding->count == 0) holding = NULL;
  out = put_word(out, "1:rd");
  if (holding != NULL && query->scrape) out = put_filters(out, holding, family);
  out = put_text(put_word(out, "2:id"), node_id(node), 20);
  if (query->method == SAMPLE) out += sprintf((char *)out, "8:intervali%de", options.interval_s);
  if (query->method == FIND_NODE || query->method == GET_PEERS || query->method == SAMPLE)
    out = put_wanted_nodes(out, node, query, family);
  if (query->method == SAMPLE) out = put_samples(out, node, interval);
  if (query->method == GET_PEERS) out = put_word(out, "5:token4:none");
  if (holding != NULL && !query->scrape) out = put_values(out, holding, query, family);
  return put_word(out, "e");
}

size_t answer(uint32_t node, const struct query *query, enum family family, const uint8_t *peer, uint64_t interval, uint8_t *out) {
  uint8_t *at = put_word(out, "d");
  const char *kind = "e";
  if (query->method == UNKNOWN) at = put_word(at, "1:eli204e14:method unknowne");
  else if (query->target == NULL && query->method != PING) at = put_word(at, "1:eli203e9:no targete");
  else {
    at = put_text(put_word(at, "2:ip"), peer, family == V4 ? 6 : 18);
    at = put_body(at, node, query, family, interval);
    kind = "r";
  }
  at = put_text(put_word(at, "1:t"), query->tid, query->tid_length);
  at = put_text(put_word(at, "1:v"), "DS\0\1", 4);
  at = put_text(put_word(at, "1:y"), kind, 1);
  return (size_t)(put_word(at, "e") - out);
}
