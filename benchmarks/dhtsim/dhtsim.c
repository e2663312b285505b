/* dhtsim: a DHT of tens of thousands of nodes on this machine alone, with known truth, for measuring lookups.
 *
 *   dhtsim --nodes 20000 --swarms 32 --peers 500 --dead 50 --delay 80 --tail 5 --truth FILE
 *
 * One socket a family receives for all nodes: each has an address of its own in 127.0.0.0/8 (with --v6: 2001:db8::/32,
 * which must be local: `ip -6 route add local 2001:db8::/32 dev lo`, in a namespace), all have the same port. Nothing is
 * ever sent to another range. Prints `ready` on stdout once it listens; `counters` on stdin prints what happened since
 * the start or since a datagram RESET as a line of JSON; the end of stdin ends it. usage() names the options.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "krpc.h"

enum { BATCH = 64, PENDING = 16384, QUERY_BYTES = 1500, SOCKET_BUFFER_BYTES = 16 << 20 };
/* libtorrent: 50 packets of one address within 10 s silence the node to it until it was quiet for 5 minutes; what was
 * saved up of 3 s may be sent in a burst. */
enum { BAN_PACKETS = 50, BAN_WINDOW_MS = 10000, BAN_MS = 300000, BURST_S = 3 };

struct outgoing {
  struct sockaddr_storage to;
  uint8_t from[16];
  int64_t due_ms;
  size_t length;
  uint8_t bytes[REPLY_BYTES];
};

/* Replies of one delay: first in, first out. */
struct line {
  struct outgoing *items;
  unsigned head, tail;
};

/* What a node keeps of who asks it. One asker is remembered at a time: there is one crawler. */
struct manners {
  uint8_t asker[16];
  int packets, banned;
  int64_t until_ms;
  int64_t quota, filled_ms;
};

static struct {
  uint64_t queries, by_method[METHODS], replies, malformed, foreign, to_nobody, to_dead, lost, over_rate, overflow;
  uint64_t bans, banned, not_read_only, bytes_in, bytes_out;
} counters;
static struct manners *manners;
static int sockets[2] = {-1, -1};
static struct line lines[2]; /* in time, late */

static int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000ll + time.tv_nsec / 1000000;
}

static void fail(const char *what) {
  fprintf(stderr, "dhtsim: %s\n", what);
  exit(3);
}

/* Whether an address is of this machine. Nothing is answered or sent to others. */
static int is_ours(const struct sockaddr_storage *address) {
  if (address->ss_family == AF_INET) return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
  if (address->ss_family != AF_INET6) return 0;
  const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(six) || memcmp(six, "\x20\x01\x0d\xb8", 4) == 0;
}

static void transmit(enum family family, struct outgoing *replies, unsigned count) {
  static struct mmsghdr messages[BATCH];
  static struct iovec parts[BATCH];
  static _Alignas(struct cmsghdr) uint8_t controls[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
  memset(messages, 0, sizeof messages);
  memset(controls, 0, sizeof controls);
  for (unsigned i = 0; i < count; i++) {
    struct outgoing *reply = &replies[i];
    if (!is_ours(&reply->to)) fail("a reply would have left this machine");
    struct msghdr *message = &messages[i].msg_hdr;
    parts[i] = (struct iovec){reply->bytes, reply->length};
    message->msg_name = &reply->to;
    message->msg_namelen = family == V4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    message->msg_iov = &parts[i], message->msg_iovlen = 1;
    message->msg_control = controls[i];
    message->msg_controllen = CMSG_SPACE(family == V4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo));
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (family == V4) {
      struct in_pktinfo info = {0};
      memcpy(&info.ipi_spec_dst, reply->from, 4);
      control->cmsg_level = IPPROTO_IP, control->cmsg_type = IP_PKTINFO, control->cmsg_len = CMSG_LEN(sizeof info);
      memcpy(CMSG_DATA(control), &info, sizeof info);
    } else {
      struct in6_pktinfo info = {0};
      memcpy(&info.ipi6_addr, reply->from, 16);
      control->cmsg_level = IPPROTO_IPV6, control->cmsg_type = IPV6_PKTINFO, control->cmsg_len = CMSG_LEN(sizeof info);
      memcpy(CMSG_DATA(control), &info, sizeof info);
    }
    counters.replies++;
    counters.bytes_out += reply->length;
  }
  for (unsigned sent = 0; sent < count;) {
    int taken = sendmmsg(sockets[family], messages + sent, count - sent, 0);
    if (taken > 0) sent += (unsigned)taken;
    else if (errno != EINTR) sent++, counters.overflow++;
  }
}

static void transmit_due(struct line *line) {
  int64_t now = now_ms();
  while (line->head != line->tail && line->items[line->head % PENDING].due_ms <= now) {
    unsigned first = line->head % PENDING, count = 0;
    sa_family_t family = line->items[first].to.ss_family;
    while (count < BATCH && line->head + count != line->tail && first + count < PENDING &&
           line->items[first + count].due_ms <= now && line->items[first + count].to.ss_family == family)
      count++;
    transmit(family == AF_INET ? V4 : V6, &line->items[first], count);
    line->head += count;
  }
}

/* libtorrent's dos_blocker: 0 while the node is deaf to the asker. */
static int listens(struct manners *own, const uint8_t asker[16], int64_t now) {
  if (memcmp(own->asker, asker, 16) != 0 || (own->packets == 0 && own->until_ms == 0)) {
    memcpy(own->asker, asker, 16);
    own->packets = 0, own->banned = 0, own->until_ms = now + BAN_WINDOW_MS;
  }
  if (++own->packets < BAN_PACKETS) return 1;
  if (now >= own->until_ms) {
    own->packets = 0, own->banned = 0, own->until_ms = now + BAN_WINDOW_MS;
    return 1;
  }
  counters.bans += !own->banned;
  own->banned = 1;
  own->until_ms = now + BAN_MS;
  return !options.ban;
}

static int within_rate(struct manners *own, size_t bytes, int64_t now) {
  if (options.send_rate == 0) return 1;
  int64_t most = (int64_t)BURST_S * options.send_rate;
  if (own->filled_ms == 0) own->quota = most;
  else own->quota += (now - own->filled_ms) * options.send_rate / 1000;
  if (own->quota > most) own->quota = most;
  own->filled_ms = now;
  if (own->quota <= 0) return 0;
  own->quota -= (int64_t)bytes;
  return 1;
}

static void address_of(const struct sockaddr_storage *from, enum family family, uint8_t address[16], uint8_t *compact) {
  int length = family == V4 ? 4 : 16;
  const void *bytes = family == V4 ? (const void *)&((const struct sockaddr_in *)from)->sin_addr
                                   : (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr;
  const in_port_t *port = family == V4 ? &((const struct sockaddr_in *)from)->sin_port : &((const struct sockaddr_in6 *)from)->sin6_port;
  memset(address, 0, 16);
  memcpy(address, bytes, (size_t)length);
  memcpy(compact, bytes, (size_t)length);
  memcpy(compact + length, port, 2);
}

/* Fills in `reply` when there is one. */
static int take(enum family family, const uint8_t *bytes, size_t length, const uint8_t *to, const struct sockaddr_storage *from,
                struct outgoing *reply) {
  if (!is_ours(from)) return counters.foreign++, 0;
  if (length == 5 && memcmp(bytes, "RESET", 5) == 0) return memset(&counters, 0, sizeof counters), 0;
  counters.queries++;
  counters.bytes_in += length;
  int64_t found = node_at(to, family);
  if (found < 0) return counters.to_nobody++, 0;
  uint32_t node = (uint32_t)found;
  if (is_dead(node)) return counters.to_dead++, 0;
  if (options.loss > 0 && (int)(draw() % 100) < options.loss) return counters.lost++, 0;

  uint8_t asker[16], compact[18];
  int64_t now = now_ms();
  address_of(from, family, asker, compact);
  if (!listens(&manners[node], asker, now)) return counters.banned++, 0;
  struct query query;
  if (!parse_query(bytes, length, &query)) return counters.malformed++, 0;
  counters.by_method[query.method]++;
  counters.not_read_only += !query.read_only;
  reply->length = answer(node, &query, family, compact, (uint64_t)(now / 1000 / options.interval_s), reply->bytes);
  if (!within_rate(&manners[node], reply->length, now)) return counters.over_rate++, 0;
  reply->to = *from;
  memcpy(reply->from, to, family == V4 ? 4 : 16);
  int delay_ms = is_late(node) ? options.late_ms : options.delay_ms;
  reply->due_ms = delay_ms == 0 ? 0 : now + delay_ms;
  return 1;
}

static void queue(const struct outgoing *reply, int late) {
  struct line *line = &lines[late];
  if (line->items == NULL && (line->items = malloc(PENDING * sizeof *line->items)) == NULL) fail("out of memory");
  if (line->tail - line->head >= PENDING) {
    counters.overflow++;
    return;
  }
  line->items[line->tail++ % PENDING] = *reply;
}

/* Answers one batch; 0 when nothing had come. */
static int serve(enum family family) {
  static struct mmsghdr messages[BATCH];
  static struct iovec parts[BATCH];
  static struct sockaddr_storage from[BATCH];
  static uint8_t bytes[BATCH][QUERY_BYTES];
  static _Alignas(struct cmsghdr) uint8_t controls[BATCH][CMSG_SPACE(sizeof(struct in6_pktinfo))];
  static struct outgoing replies[BATCH];
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){bytes[i], QUERY_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i],
                                          .msg_iovlen = 1, .msg_control = controls[i], .msg_controllen = sizeof controls[i]};
  }
  int received = recvmmsg(sockets[family], messages, BATCH, MSG_DONTWAIT, NULL), ready = 0;
  for (int i = 0; i < received; i++) {
    uint8_t to[16] = {0};
    struct msghdr *message = &messages[i].msg_hdr;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL; control = CMSG_NXTHDR(message, control)) {
      if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO)
        memcpy(to, CMSG_DATA(control) + offsetof(struct in_pktinfo, ipi_addr), 4);
      if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO)
        memcpy(to, CMSG_DATA(control) + offsetof(struct in6_pktinfo, ipi6_addr), 16);
    }
    struct outgoing *reply = &replies[ready];
    if (!take(family, bytes[i], messages[i].msg_len, to, &from[i], reply)) continue;
    if (reply->due_ms == 0) ready++;
    else queue(reply, options.late > 0 && is_late((uint32_t)node_at(to, family)));
  }
  if (ready > 0) transmit(family, replies, (unsigned)ready);
  return received > 0;
}

static void print_counters(void) {
  printf("{\"queries\":%lu,\"pings\":%lu,\"findNode\":%lu,\"getPeers\":%lu,\"samples\":%lu,\"announces\":%lu,\"unknown\":%lu,"
         "\"replies\":%lu,\"malformed\":%lu,\"foreign\":%lu,\"toNobody\":%lu,\"toDead\":%lu,\"lost\":%lu,\"overRate\":%lu,"
         "\"overflow\":%lu,\"bans\":%lu,\"banned\":%lu,\"notReadOnly\":%lu,\"bytesIn\":%lu,\"bytesOut\":%lu}\n",
         counters.queries, counters.by_method[PING], counters.by_method[FIND_NODE], counters.by_method[GET_PEERS],
         counters.by_method[SAMPLE], counters.by_method[ANNOUNCE_PEER], counters.by_method[UNKNOWN], counters.replies,
         counters.malformed, counters.foreign, counters.to_nobody, counters.to_dead, counters.lost, counters.over_rate,
         counters.overflow, counters.bans, counters.banned, counters.not_read_only, counters.bytes_in, counters.bytes_out);
  fflush(stdout);
}

static void open_socket(enum family family) {
  int one = 1, bytes = SOCKET_BUFFER_BYTES, made = socket(family == V4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = any4.sin_port};
  if (family == V4) {
    setsockopt(made, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
  } else {
    /* The addresses are local by a route alone, and on no interface. */
    setsockopt(made, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
    setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    setsockopt(made, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
  }
  /* From here on the kernel itself sends nothing of ours elsewhere. */
  if (setsockopt(made, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0) fail("cannot bind to the loopback device");
  if (setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(made, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(made, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  const struct sockaddr *any = family == V4 ? (struct sockaddr *)&any4 : (struct sockaddr *)&any6;
  if (made < 0 || bind(made, any, family == V4 ? sizeof any4 : sizeof any6) != 0) fail(strerror(errno));
  /* With port 0 the system chooses; the other family then takes the same. */
  socklen_t size = sizeof any6;
  struct sockaddr_in6 bound;
  getsockname(made, (struct sockaddr *)&bound, &size);
  options.port = ntohs(bound.sin6_port);
  sockets[family] = made;
}

static int wait_ms(void) {
  int64_t wait = -1, now = now_ms();
  for (int i = 0; i < 2; i++) {
    if (lines[i].head == lines[i].tail) continue;
    int64_t rest = lines[i].items[lines[i].head % PENDING].due_ms - now;
    if (rest < 0) rest = 0;
    if (wait < 0 || rest < wait) wait = rest;
  }
  return (int)wait;
}

/* 0 when stdin has ended. */
static int obey(void) {
  char text[256];
  ssize_t length = read(STDIN_FILENO, text, sizeof text);
  if (length > 0) print_counters();
  return length > 0;
}

static void run(void) {
  struct pollfd polled[3] = {{STDIN_FILENO, POLLIN, 0}, {sockets[V4], POLLIN, 0}, {sockets[V6], POLLIN, 0}};
  for (;;) {
    poll(polled, 3, wait_ms());
    for (int i = 0; i < 2; i++) transmit_due(&lines[i]);
    for (enum family family = V4; family <= V6; family++)
      if (sockets[family] >= 0) serve(family);
    if (polled[0].revents != 0 && !obey()) return;
  }
}

static const struct setting {
  const char *name;
  int *value, low, high, initial;
  const char *meaning;
} settings[] = {
    {"nodes", &options.nodes, 1, 4000000, 20000, "nodes"},
    {"swarms", &options.swarms, 0, 100000, 32, "swarms"},
    {"peers", &options.peers, 0, 65535, 500, "peers of a swarm"},
    {"dead", &options.dead, 0, 100, 0, "per cent of the nodes never answer"},
    {"delay", &options.delay_ms, 0, 10000, 0, "ms from query to answer"},
    {"tail", &options.late, 0, 100, 0, "per cent of the nodes answer late"},
    {"tail-delay", &options.late_ms, 1, 60000, 600, "ms that those take"},
    {"loss", &options.loss, 0, 100, 0, "per cent of the queries are lost"},
    {"seeds", &options.seeds, 0, 100, 40, "per cent of the peers are seeds (BEP 33)"},
    {"per-prefix", &options.per_prefix, 1, 254, 254, "nodes in one /24, or /48"},
    {"port", &options.port, 0, 65535, 0, "port of all nodes; 0: any"},
    {"v4", &options.v4, 0, 1, 1, "serve 127.0.0.0/8"},
    {"v6", &options.v6, 0, 1, 0, "serve 2001:db8::/32 (BEP 32)"},
    {"values", &options.values4, 0, 100, 100, "peers in a reply over IPv4"},
    {"values6", &options.values6, 0, 25, 25, "peers in a reply over IPv6"},
    {"interval", &options.interval_s, 1, 21600, 60, "s between samples (BEP 51)"},
    {"hard", &options.hard, 0, 1, 0, "imperfect tables and announcements; sets the next three"},
    {"stored", &options.stored_peers, 0, 65535, -500, "peers of a swarm that a node holds; 0: all"},
    {"rate", &options.send_rate, 0, 1000000000, -8000, "bytes a node sends in a second; 0: no limit"},
    {"ban", &options.ban, 0, 1, -1, "be deaf to who sends 50 packets in 10 s; 0: count only"},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static void usage(void) {
  fprintf(stderr, "usage: dhtsim [--truth FILE] [--seed N] [--OPTION N]...\n");
  for (int i = 0; i < SETTINGS; i++)
    fprintf(stderr, "  --%-12s %s (%d%s)\n", settings[i].name, settings[i].meaning, abs(settings[i].initial),
            settings[i].initial < 0 ? " when hard" : "");
  exit(2);
}

int main(int argc, char **argv) {
  const char *truth = NULL;
  options.seed = 1;
  for (int i = 0; i < SETTINGS; i++) *settings[i].value = settings[i].initial;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || strncmp(argv[i], "--", 2) != 0) usage();
    const char *name = argv[i] + 2;
    char *end;
    long number = strtol(argv[i + 1], &end, 10);
    if (strcmp(name, "truth") == 0) {
      truth = argv[i + 1];
      continue;
    }
    if (*end != '\0') usage();
    if (strcmp(name, "seed") == 0) {
      options.seed = (uint64_t)number;
      continue;
    }
    const struct setting *setting = settings;
    while (setting < settings + SETTINGS && strcmp(name, setting->name) != 0) setting++;
    if (setting == settings + SETTINGS || number < setting->low || number > setting->high) usage();
    *setting->value = (int)number;
  }
  for (int i = 0; i < SETTINGS; i++)
    if (*settings[i].value < 0) *settings[i].value = options.hard ? -settings[i].initial : 0;
  if (options.nodes / options.per_prefix >= 127 * 256) fail("too many nodes for so few in a prefix");

  build_world();
  manners = calloc((size_t)options.nodes, sizeof *manners);
  if (options.v4) open_socket(V4);
  if (options.v6) open_socket(V6);
  if (truth != NULL) {
    FILE *file = fopen(truth, "w");
    if (file == NULL) fail(strerror(errno));
    write_truth(file);
    fclose(file);
  }
  puts("ready");
  fflush(stdout);
  run();
  print_counters();
  return 0;
}
