// The sockets of the fan-out's native transport: batched system calls. This file decides nothing.
// transport/native-transport.ts decides about sessions and destinations; it sees batches through arrays shared with
// this file.
//
// One epoll instance holds the public socket and the upstream sockets; libuv watches its descriptor.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  // Capacity of one round.
  PLAYER_SLOTS = 128,
  REPLY_SLOTS = 256,
  SLOTS = PLAYER_SLOTS + REPLY_SLOTS,
  // Replies read from one socket before the others get their turn.
  REPLIES_PER_UPSTREAM = 8,
  // The same for the socket of an isolated player. Some slots are reserved for the public socket.
  DATAGRAMS_PER_PLAYER = 4,
  PUBLIC_SLOTS = 32,
  EVENTS = 256,
  // Larger than any UDP payload. Not a multiple of the page size, because then all slots would compete for a few cache
  // sets.
  SLOT_BYTES = 65536 + 4096 + 320,
  MAX_PAYLOAD = 65536,
  MAX_SENDS = SLOTS * 16,
  // Limits of a GSO batch, whose datagrams pass the network stack as one packet: the kernel's maximum of segments, and
  // the maximum size of a packet.
  GSO_DATAGRAMS = 64,
  GSO_BYTES = 60000,
  // Records hold the datagrams received in a round, later the send errors of a flush: one per slot and one per socket
  // error.
  MAX_RECORDS = SLOTS + EVENTS,
  RECORD_INTS = 4,
  SEND_INTS = 3,
};

// Kinds of records and sends; keep them equal to those in transport/native-transport.ts.
enum { FROM_PLAYER = 0, FROM_REPLICA = 1, UPSTREAM_ERROR = 2, PLAYER_ERROR = 3 };
enum { TO_REPLICA = 0, TO_PLAYER = 1 };

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address_t;

// Linked list of the current flush's sends to one destination, by index, oldest first; -1: none.
typedef struct {
  int32_t first, last;
  // The route does not support GSO.
  bool no_gso;
} chain_t;

typedef struct {
  address_t address;
  socklen_t length;
  int32_t next_free;
  chain_t chain;
  // Socket of an isolated player, or -1.
  int own_fd;
  bool used;
} peer_t;

typedef struct {
  int fd;
  int32_t next_free;
  uint32_t drops_before;
  chain_t chain;
} upstream_t;

// Control message with the segment size of a GSO batch.
typedef union {
  struct cmsghdr header;
  uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
} control_t;

typedef struct {
  napi_env env;
  napi_ref on_readable;
  napi_async_cleanup_hook_handle cleanup;
  uv_poll_t *poll;
  int epoll_fd, public_fd;
  // Longest datagram in a GSO batch, because segments are not fragmented; 0: no batches.
  size_t gso_max_bytes;
  uint8_t *arena;
  int32_t *records, *sends;
  uint64_t hash_key[2];
  peer_t *peers;
  int32_t max_peers, used_peers, free_peer;
  int32_t *buckets; // Peer ids; -1 is empty. Twice as many as peers, or more: a power of two.
  uint32_t bucket_mask;
  upstream_t *upstreams;
  int32_t max_upstreams, used_upstreams, free_upstream;
  int32_t lengths[SLOTS];
  int32_t next_send[MAX_SENDS];
  int32_t touched[MAX_SENDS];
  struct mmsghdr in[SLOTS];
  struct iovec in_iov[SLOTS];
  address_t from[PLAYER_SLOTS];
  struct mmsghdr out[MAX_SENDS];
  struct iovec out_iov[MAX_SENDS];
  control_t out_control[MAX_SENDS];
  // Destination of each message in `out`: an upstream or a player.
  int32_t out_to[MAX_SENDS];
  int32_t out_count, out_iov_count;
} sockets_t;

static const chain_t no_sends = {.first = -1, .last = -1};

static uint8_t *slot_bytes(sockets_t *s, int32_t slot) { return s->arena + (size_t)slot * SLOT_BYTES; }

// --- Players by address ---------------------------------------------------------------------------------

static uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  return value ^ (value >> 32);
}

// The hash is keyed because senders choose their addresses: known collisions would make every lookup slow.
static uint32_t bucket_of(const sockets_t *s, const address_t *a) {
  if (a->any.sa_family == AF_INET)
    return (uint32_t)mix(s->hash_key[0] ^ (((uint64_t)a->v4.sin_addr.s_addr << 16) | a->v4.sin_port)) & s->bucket_mask;
  uint64_t half[2];
  memcpy(half, &a->v6.sin6_addr, sizeof half);
  uint64_t hash = mix(s->hash_key[0] ^ half[0]);
  hash = mix(hash ^ s->hash_key[1] ^ half[1]);
  return (uint32_t)mix(hash ^ (((uint64_t)a->v6.sin6_scope_id << 16) | a->v6.sin6_port)) & s->bucket_mask;
}

static bool same_address(const address_t *a, const address_t *b) {
  if (a->any.sa_family != b->any.sa_family) return false;
  if (a->any.sa_family == AF_INET)
    return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr && a->v4.sin_port == b->v4.sin_port;
  return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
         memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

static int32_t find_peer(const sockets_t *s, const address_t *a) {
  for (uint32_t b = bucket_of(s, a); s->buckets[b] >= 0; b = (b + 1) & s->bucket_mask)
    if (same_address(&s->peers[s->buckets[b]].address, a)) return s->buckets[b];
  return -1;
}

static int32_t add_peer(sockets_t *s, const address_t *a, socklen_t length) {
  int32_t id = s->free_peer;
  if (id >= 0) s->free_peer = s->peers[id].next_free;
  else if (s->used_peers < s->max_peers) id = s->used_peers++;
  else return -1;
  s->peers[id] = (peer_t){.address = *a, .length = length, .chain = no_sends, .own_fd = -1, .used = true};
  uint32_t b = bucket_of(s, a);
  while (s->buckets[b] >= 0) b = (b + 1) & s->bucket_mask;
  s->buckets[b] = id;
  return id;
}

static void remove_peer(sockets_t *s, int32_t id) {
  if (id < 0 || id >= s->used_peers || !s->peers[id].used) return;
  uint32_t hole = bucket_of(s, &s->peers[id].address);
  while (s->buckets[hole] != id) hole = (hole + 1) & s->bucket_mask;
  // Entries behind the hole move up if the hole would end their search.
  for (uint32_t b = (hole + 1) & s->bucket_mask; s->buckets[b] >= 0; b = (b + 1) & s->bucket_mask) {
    uint32_t home = bucket_of(s, &s->peers[s->buckets[b]].address);
    if (((b - home) & s->bucket_mask) < ((b - hole) & s->bucket_mask)) continue;
    s->buckets[hole] = s->buckets[b];
    hole = b;
  }
  s->buckets[hole] = -1;
  if (s->peers[id].own_fd >= 0) close(s->peers[id].own_fd);
  s->peers[id].used = false;
  s->peers[id].next_free = s->free_peer;
  s->free_peer = id;
}

// --- Receiving ------------------------------------------------------------------------------------------

static void record(sockets_t *s, int32_t *count, int32_t kind, int32_t id, int32_t slot, int32_t value) {
  if (*count >= MAX_RECORDS) return;
  int32_t *r = s->records + (*count)++ * RECORD_INTS;
  r[0] = kind, r[1] = id, r[2] = slot, r[3] = value;
}

static int receive_batch(sockets_t *s, int fd, int32_t first, int32_t max) {
  for (int32_t slot = first; slot < first + max && slot < PLAYER_SLOTS; slot++)
    s->in[slot].msg_hdr.msg_namelen = sizeof(address_t);
  int got;
  do got = recvmmsg(fd, s->in + first, max, MSG_DONTWAIT, NULL);
  while (got < 0 && errno == EINTR);
  for (int i = 0; i < got; i++) s->lengths[first + i] = (int32_t)s->in[first + i].msg_len;
  return got;
}

static int32_t receive_players(sockets_t *s, int fd, int32_t slot, int32_t max, int32_t *count) {
  int got = receive_batch(s, fd, slot, max);
  if (got < 0 && errno != EAGAIN && fd == s->public_fd) record(s, count, PLAYER_ERROR, -1, -1, errno);
  // Also by address on an isolated player's socket: before it was connected it received datagrams from anyone.
  for (int32_t at = slot; at < slot + got; at++) record(s, count, FROM_PLAYER, find_peer(s, &s->from[at]), at, s->lengths[at]);
  return got < 0 ? 0 : got;
}

static int32_t receive_replies(sockets_t *s, int32_t upstream, int32_t slot, int32_t *count) {
  int32_t max = PLAYER_SLOTS + REPLY_SLOTS - slot;
  int got = receive_batch(s, s->upstreams[upstream].fd, slot, max < REPLIES_PER_UPSTREAM ? max : REPLIES_PER_UPSTREAM);
  if (got < 0 && errno != EAGAIN) record(s, count, UPSTREAM_ERROR, upstream, -1, errno);
  for (int i = 0; i < got; i++) record(s, count, FROM_REPLICA, upstream, slot + i, s->lengths[slot + i]);
  return got < 0 ? 0 : got;
}

// --- Sending --------------------------------------------------------------------------------------------

static void chain_send(sockets_t *s, chain_t *chain, int32_t to, int32_t send, int32_t *touched) {
  s->next_send[send] = -1;
  if (chain->first < 0) chain->first = send, s->touched[(*touched)++] = to;
  else s->next_send[chain->last] = send;
  chain->last = send;
}

static void begin_message(sockets_t *s, int32_t to, const peer_t *peer) {
  struct msghdr *message = &s->out[s->out_count].msg_hdr;
  s->out_to[s->out_count++] = to;
  *message = (struct msghdr){.msg_iov = &s->out_iov[s->out_iov_count]};
  if (peer == NULL) return;
  message->msg_name = (void *)&peer->address;
  message->msg_namelen = peer->length;
}

static void set_segment_bytes(sockets_t *s, uint16_t bytes) {
  control_t *control = &s->out_control[s->out_count - 1];
  struct msghdr *message = &s->out[s->out_count - 1].msg_hdr;
  control->header = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof bytes)};
  memcpy(CMSG_DATA(&control->header), &bytes, sizeof bytes);
  message->msg_control = control->bytes;
  message->msg_controllen = sizeof control->bytes;
}

// Moves the list to `out`. Consecutive datagrams of one length become a GSO batch, which may end with a shorter one.
static void prepare_chain(sockets_t *s, chain_t *chain, int32_t to, const peer_t *peer) {
  bool may_follow = false;
  size_t length = 0, total = 0;
  for (int32_t send = chain->first; send >= 0; send = s->next_send[send]) {
    int32_t slot = s->sends[send * SEND_INTS + 2];
    size_t bytes = (size_t)s->lengths[slot];
    bool follows = may_follow && bytes > 0 && bytes <= length && total + bytes <= GSO_BYTES &&
                   s->out[s->out_count - 1].msg_hdr.msg_iovlen < GSO_DATAGRAMS;
    if (follows) set_segment_bytes(s, (uint16_t)length);
    else begin_message(s, to, peer), length = bytes, total = 0;
    s->out_iov[s->out_iov_count++] = (struct iovec){.iov_base = slot_bytes(s, slot), .iov_len = bytes};
    s->out[s->out_count - 1].msg_hdr.msg_iovlen++;
    total += bytes;
    may_follow = !chain->no_gso && bytes > 0 && bytes == length && length <= s->gso_max_bytes;
  }
  chain->first = -1;
}

// Errors of a route without GSO: no checksum offload, or an MTU smaller than the datagrams.
static bool refuses_gso(int error) { return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP; }

// Sends the datagrams of a batch one by one, and later ones to this destination too.
static void send_singly(sockets_t *s, int fd, const struct msghdr *batch, int32_t kind, int32_t to, int32_t *count) {
  (kind == UPSTREAM_ERROR ? &s->upstreams[to].chain : &s->peers[to].chain)->no_gso = true;
  for (size_t i = 0; i < batch->msg_iovlen; i++) {
    struct msghdr single = {.msg_name = batch->msg_name, .msg_namelen = batch->msg_namelen, .msg_iovlen = 1};
    single.msg_iov = batch->msg_iov + i;
    if (sendmsg(fd, &single, MSG_DONTWAIT) < 0) record(s, count, kind, to, -1, errno);
  }
}

// Sends and empties `out`. A connected socket first reports the ICMP error of an earlier datagram without sending
// anything, so that message is retried once: one refusal must not cost two datagrams.
static void send_out(sockets_t *s, int fd, int32_t kind, int32_t *count) {
  bool retried = false;
  for (int32_t at = 0; at < s->out_count;) {
    const struct msghdr *message = &s->out[at].msg_hdr;
    int sent = sendmmsg(fd, s->out + at, (unsigned)(s->out_count - at), MSG_DONTWAIT);
    if (sent > 0) {
      at += sent;
      retried = false;
      continue;
    }
    if (errno == EINTR) continue;
    if (message->msg_iovlen > 1 && refuses_gso(errno)) {
      send_singly(s, fd, message, kind, s->out_to[at++], count);
      continue;
    }
    bool retries = errno == ECONNREFUSED && !retried;
    for (size_t i = 0; i < (retries ? 1 : message->msg_iovlen); i++) record(s, count, kind, s->out_to[at], -1, errno);
    retried = retries;
    if (!retries) at++;
  }
  s->out_count = s->out_iov_count = 0;
}

// Sends the first `max` entries of `sends`: first the upstream sockets', each in order, then the players'.
static int32_t flush_sends(sockets_t *s, int32_t max) {
  int32_t upstreams = 0, players = 0, count = 0;
  for (int32_t i = 0; i < max; i++) {
    const int32_t *send = s->sends + i * SEND_INTS;
    if (send[0] == TO_REPLICA) chain_send(s, &s->upstreams[send[1]].chain, send[1], i, &upstreams);
  }
  for (int32_t t = 0; t < upstreams; t++) {
    upstream_t *upstream = &s->upstreams[s->touched[t]];
    prepare_chain(s, &upstream->chain, s->touched[t], NULL);
    send_out(s, upstream->fd, UPSTREAM_ERROR, &count);
  }
  for (int32_t i = 0; i < max; i++) {
    const int32_t *send = s->sends + i * SEND_INTS;
    if (send[0] == TO_PLAYER) chain_send(s, &s->peers[send[1]].chain, send[1], i, &players);
  }
  for (int32_t t = 0; t < players; t++) {
    peer_t *peer = &s->peers[s->touched[t]];
    prepare_chain(s, &peer->chain, s->touched[t], peer);
  }
  send_out(s, s->public_fd, PLAYER_ERROR, &count);
  return count;
}

// --- Sockets --------------------------------------------------------------------------------------------

static bool parse_address(const char *host, int port, address_t *a, socklen_t *length) {
  memset(a, 0, sizeof *a);
  if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) {
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons((uint16_t)port);
    *length = sizeof a->v4;
    return true;
  }
  if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) != 1) return false;
  a->v6.sin6_family = AF_INET6;
  a->v6.sin6_port = htons((uint16_t)port);
  *length = sizeof a->v6;
  return true;
}

// The data of an epoll event: a kind in the upper half, an ID in the lower.
enum { EVENT_PUBLIC = 0, EVENT_UPSTREAM = 1, EVENT_PLAYER = 2 };

static int watch(sockets_t *s, int fd, uint32_t kind, int32_t id) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = ((uint64_t)kind << 32) | (uint32_t)id};
  return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

// Returns 0 or -errno.
static int open_public(sockets_t *s, const char *host, int port, bool shared, int buffer_bytes) {
  address_t a;
  socklen_t length;
  if (!parse_address(host, port, &a, &length)) return -EINVAL;
  s->public_fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->public_fd < 0) return -errno;
  int on = 1, off = 0;
  if (a.any.sa_family == AF_INET6) setsockopt(s->public_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (shared && setsockopt(s->public_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) return -errno;
  setsockopt(s->public_fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  setsockopt(s->public_fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  if (bind(s->public_fd, &a.any, length) < 0 || watch(s, s->public_fd, EVENT_PUBLIC, 0) < 0) return -errno;
  int segment;
  socklen_t segment_length = sizeof segment;
  // A kernel without GSO would send a batch as one long datagram.
  if (getsockopt(s->public_fd, SOL_UDP, UDP_SEGMENT, &segment, &segment_length) < 0) s->gso_max_bytes = 0;
  // Set after bind(): other programs must not share the port, but isolated players' sockets must.
  setsockopt(s->public_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return 0;
}

// Returns the upstream's ID or -errno.
static int32_t open_upstream(sockets_t *s, const char *host, int port, const char *local) {
  address_t to, from;
  socklen_t to_length, from_length;
  if (!parse_address(host, port, &to, &to_length)) return -EINVAL;
  if (local[0] != 0 && !parse_address(local, 0, &from, &from_length)) return -EINVAL;
  if (s->free_upstream < 0 && s->used_upstreams >= s->max_upstreams) return -ENFILE;
  int fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int32_t id = s->free_upstream >= 0 ? s->free_upstream : s->used_upstreams;
  if ((local[0] != 0 && bind(fd, &from.any, from_length) < 0) || connect(fd, &to.any, to_length) < 0 ||
      watch(s, fd, EVENT_UPSTREAM, id) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  if (s->free_upstream >= 0) s->free_upstream = s->upstreams[id].next_free;
  else s->used_upstreams++;
  s->upstreams[id] = (upstream_t){.fd = fd, .chain = no_sends};
  return id;
}

static void close_upstream(sockets_t *s, int32_t id) {
  if (id < 0 || id >= s->used_upstreams || s->upstreams[id].fd < 0) return;
  close(s->upstreams[id].fd);
  s->upstreams[id].fd = -1;
  s->upstreams[id].next_free = s->free_upstream;
  s->free_upstream = id;
}

// Opens a socket on the public port that is connected to the player. The kernel prefers it for the player's datagrams,
// so a flood cannot fill its buffer. Returns 0 or -errno.
static int isolate_peer(sockets_t *s, int32_t id) {
  peer_t *peer = &s->peers[id];
  if (peer->own_fd >= 0) return 0;
  address_t local;
  socklen_t length = sizeof local;
  int on = 1, off = 0;
  if (getsockname(s->public_fd, &local.any, &length) < 0) return -errno;
  int fd = socket(local.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (local.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 || bind(fd, &local.any, length) < 0 ||
      connect(fd, &peer->address.any, peer->length) < 0 || watch(s, fd, EVENT_PLAYER, id) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  peer->own_fd = fd;
  return 0;
}

static uint32_t drops_of(int fd) {
  uint32_t info[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof info;
  return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0 ? 0 : info[SK_MEMINFO_DROPS];
}

// While muted, the kernel passes one random reply in `sampling`. Unmuting returns the number of replies dropped since;
// -errno on failure.
static int64_t mute_upstream(upstream_t *upstream, bool muted, uint32_t sampling) {
  if (!muted) {
    int unused = 0;
    if (setsockopt(upstream->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) < 0) return -errno;
    return (uint32_t)(drops_of(upstream->fd) - upstream->drops_before);
  }
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, UINT32_MAX / sampling, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
  upstream->drops_before = drops_of(upstream->fd);
  return setsockopt(upstream->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

// --- Life -----------------------------------------------------------------------------------------------

static void free_sockets(sockets_t *s) {
  if (s->public_fd >= 0) close(s->public_fd);
  if (s->epoll_fd >= 0) close(s->epoll_fd);
  for (int32_t i = 0; i < s->used_upstreams; i++)
    if (s->upstreams[i].fd >= 0) close(s->upstreams[i].fd);
  for (int32_t i = 0; i < s->used_peers; i++)
    if (s->peers[i].used && s->peers[i].own_fd >= 0) close(s->peers[i].own_fd);
  if (s->arena != MAP_FAILED) munmap(s->arena, (size_t)SLOTS * SLOT_BYTES);
  free(s->peers);
  free(s->upstreams);
  free(s->buckets);
  free(s);
}

static void on_closed(uv_handle_t *handle) {
  sockets_t *s = handle->data;
  napi_remove_async_cleanup_hook(s->cleanup);
  free(handle);
  free_sockets(s);
}

static void start_close(sockets_t *s) {
  if (s->poll == NULL) return;
  uv_poll_stop(s->poll);
  uv_close((uv_handle_t *)s->poll, on_closed);
  s->poll = NULL;
}

// Terminating a worker thread closes its loop; an open handle would abort the process.
static void on_environment_end(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  start_close(data);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)status, (void)events;
  sockets_t *s = poll->data;
  napi_handle_scope scope;
  napi_value callback, self, result, exception;
  if (napi_open_handle_scope(s->env, &scope) != napi_ok) return;
  napi_get_reference_value(s->env, s->on_readable, &callback);
  napi_get_global(s->env, &self);
  if (napi_make_callback(s->env, NULL, self, callback, 0, NULL, &result) == napi_pending_exception) {
    napi_get_and_clear_last_exception(s->env, &exception);
    napi_fatal_exception(s->env, exception);
  }
  napi_close_handle_scope(s->env, scope);
}

// --- What JavaScript calls ------------------------------------------------------------------------------

enum { MAX_ARGUMENTS = 9, HOST_BYTES = 64 };

typedef struct {
  sockets_t *sockets;
  napi_value values[MAX_ARGUMENTS];
} call_t;

static call_t read_call(napi_env env, napi_callback_info info) {
  call_t call = {0};
  size_t count = MAX_ARGUMENTS;
  napi_get_cb_info(env, info, &count, call.values, NULL, NULL);
  napi_get_value_external(env, call.values[0], (void **)&call.sockets);
  return call;
}

static int32_t int_of(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

static bool bool_of(napi_env env, napi_value value) {
  bool yes = false;
  napi_get_value_bool(env, value, &yes);
  return yes;
}

static napi_value int_value(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

static void *array_of(napi_env env, napi_value value, size_t min_ints) {
  void *data = NULL;
  size_t length = 0;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, NULL, NULL) != napi_ok) return NULL;
  return type == napi_int32_array && length >= min_ints ? data : NULL;
}

static sockets_t *new_sockets(int32_t max_peers, int32_t max_upstreams) {
  sockets_t *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->public_fd = s->epoll_fd = -1;
  s->free_peer = s->free_upstream = -1;
  s->max_peers = max_peers, s->max_upstreams = max_upstreams;
  uint32_t buckets = 64;
  while (buckets < (uint32_t)max_peers * 2) buckets *= 2;
  s->bucket_mask = buckets - 1;
  // Large but sparsely used: the kernel allocates pages on first access.
  s->peers = calloc(max_peers, sizeof *s->peers);
  s->upstreams = calloc(max_upstreams, sizeof *s->upstreams);
  s->buckets = malloc(buckets * sizeof *s->buckets);
  s->arena = mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  bool has_key = getrandom(s->hash_key, sizeof s->hash_key, 0) == sizeof s->hash_key;
  if (s->peers == NULL || s->upstreams == NULL || s->buckets == NULL || s->arena == MAP_FAILED || s->epoll_fd < 0 || !has_key) {
    free_sockets(s);
    return NULL;
  }
  memset(s->buckets, 0xff, buckets * sizeof *s->buckets);
  for (int32_t slot = 0; slot < SLOTS; slot++) {
    s->in_iov[slot] = (struct iovec){.iov_base = slot_bytes(s, slot), .iov_len = MAX_PAYLOAD};
    s->in[slot].msg_hdr = (struct msghdr){.msg_iov = &s->in_iov[slot], .msg_iovlen = 1};
    if (slot < PLAYER_SLOTS) s->in[slot].msg_hdr.msg_name = &s->from[slot];
  }
  return s;
}

// open(records, sends, onReadable, host, port, isShared, maxPeers, maxUpstreams, gsoMaxBytes): the sockets, or -errno.
// Every other function takes the sockets as its first argument.
static napi_value call_open(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  char host[HOST_BYTES];
  size_t length;
  napi_get_value_string_utf8(env, call.values[3], host, sizeof host, &length);
  sockets_t *s = new_sockets(int_of(env, call.values[6]), int_of(env, call.values[7]));
  if (s == NULL) return int_value(env, -ENOMEM);
  s->env = env;
  s->gso_max_bytes = (size_t)int_of(env, call.values[8]);
  s->records = array_of(env, call.values[0], MAX_RECORDS * RECORD_INTS);
  s->sends = array_of(env, call.values[1], MAX_SENDS * SEND_INTS);
  int error = s->records == NULL || s->sends == NULL ? -EINVAL : 0;
  if (error == 0) error = open_public(s, host, int_of(env, call.values[4]), bool_of(env, call.values[5]), 4 << 20);
  uv_loop_t *loop;
  if (error == 0 && napi_get_uv_event_loop(env, &loop) != napi_ok) error = -ENOSYS;
  uv_poll_t *poll = error == 0 ? malloc(sizeof *poll) : NULL;
  if (error == 0) error = poll == NULL ? -ENOMEM : uv_poll_init(loop, poll, s->epoll_fd);
  if (error != 0) {
    free(poll);
    free_sockets(s);
    return int_value(env, error);
  }
  poll->data = s;
  s->poll = poll;
  napi_create_reference(env, call.values[2], 1, &s->on_readable);
  napi_add_async_cleanup_hook(env, on_environment_end, s, &s->cleanup);
  uv_poll_start(poll, UV_READABLE, on_poll);
  napi_value sockets;
  napi_create_external(env, s, NULL, NULL, &sockets);
  return sockets;
}

// receive(): the number of records; 0: no datagrams are waiting.
static napi_value call_receive(napi_env env, napi_callback_info info) {
  sockets_t *s = read_call(env, info).sockets;
  struct epoll_event events[EVENTS];
  int ready = epoll_wait(s->epoll_fd, events, EVENTS, 0);
  int32_t count = 0, player_slot = 0, reply_slot = PLAYER_SLOTS;
  bool is_public_ready = false;
  for (int i = 0; i < ready; i++) {
    int32_t id = (int32_t)(uint32_t)events[i].data.u64;
    switch (events[i].data.u64 >> 32) {
      case EVENT_PUBLIC:
        is_public_ready = true;
        break;
      case EVENT_UPSTREAM:
        if (reply_slot < SLOTS) reply_slot += receive_replies(s, id, reply_slot, &count);
        break;
      case EVENT_PLAYER:
        if (player_slot <= PLAYER_SLOTS - PUBLIC_SLOTS - DATAGRAMS_PER_PLAYER)
          player_slot += receive_players(s, s->peers[id].own_fd, player_slot, DATAGRAMS_PER_PLAYER, &count);
    }
  }
  if (is_public_ready) receive_players(s, s->public_fd, player_slot, PLAYER_SLOTS - player_slot, &count);
  return int_value(env, count);
}

// flush(count): sends the first `count` entries, returns the number of error records.
static napi_value call_flush(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  int32_t count = int_of(env, call.values[1]);
  return int_value(env, flush_sends(call.sockets, count < MAX_SENDS ? count : MAX_SENDS));
}

// find(slot): the ID of the player who sent the slot's datagram, or -1.
static napi_value call_find(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  return int_value(env, find_peer(call.sockets, &call.sockets->from[int_of(env, call.values[1])]));
}

// address(slot): "ADDRESS PORT" of the sender.
static napi_value call_address(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  const address_t *a = &call.sockets->from[int_of(env, call.values[1])];
  char host[INET6_ADDRSTRLEN], text[HOST_BYTES + 16];
  bool is_v4 = a->any.sa_family == AF_INET;
  inet_ntop(a->any.sa_family, is_v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr, host, sizeof host);
  int length = snprintf(text, sizeof text, "%s %u", host, ntohs(is_v4 ? a->v4.sin_port : a->v6.sin6_port));
  napi_value value;
  napi_create_string_utf8(env, text, (size_t)length, &value);
  return value;
}

// openPeer(slot): adds the slot's sender as a player, returns its ID or -1.
static napi_value call_open_peer(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  int32_t slot = int_of(env, call.values[1]);
  return int_value(env, add_peer(call.sockets, &call.sockets->from[slot], call.sockets->in[slot].msg_hdr.msg_namelen));
}

static napi_value call_close_peer(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  remove_peer(call.sockets, int_of(env, call.values[1]));
  return NULL;
}

// isolate(peer): 0, or -errno.
static napi_value call_isolate(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  return int_value(env, isolate_peer(call.sockets, int_of(env, call.values[1])));
}

// openUpstream(address, port, localAddress or ""): the upstream's ID, or -errno.
static napi_value call_open_upstream(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  char host[HOST_BYTES], local[HOST_BYTES];
  size_t length;
  napi_get_value_string_utf8(env, call.values[1], host, sizeof host, &length);
  napi_get_value_string_utf8(env, call.values[3], local, sizeof local, &length);
  return int_value(env, open_upstream(call.sockets, host, int_of(env, call.values[2]), local));
}

static napi_value call_close_upstream(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  close_upstream(call.sockets, int_of(env, call.values[1]));
  return NULL;
}

// mute(upstream, isMuted, sampling): the number of replies dropped while muted, or -errno.
static napi_value call_mute(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  upstream_t *upstream = &call.sockets->upstreams[int_of(env, call.values[1])];
  return int_value(env, mute_upstream(upstream, bool_of(env, call.values[2]), (uint32_t)int_of(env, call.values[3])));
}

// bytes(slot): a copy of the slot's datagram.
static napi_value call_bytes(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  int32_t slot = int_of(env, call.values[1]);
  napi_value buffer;
  napi_create_buffer_copy(env, call.sockets->lengths[slot], slot_bytes(call.sockets, slot), NULL, &buffer);
  return buffer;
}

// sendBytes(peer, buffer): 0, or -errno.
static napi_value call_send_bytes(napi_env env, napi_callback_info info) {
  call_t call = read_call(env, info);
  peer_t *peer = &call.sockets->peers[int_of(env, call.values[1])];
  void *bytes;
  size_t length;
  if (napi_get_buffer_info(env, call.values[2], &bytes, &length) != napi_ok) return int_value(env, -EINVAL);
  ssize_t sent = sendto(call.sockets->public_fd, bytes, length, MSG_DONTWAIT, &peer->address.any, peer->length);
  return int_value(env, sent < 0 ? -errno : 0);
}

// port(): the bound public port.
static napi_value call_port(napi_env env, napi_callback_info info) {
  sockets_t *s = read_call(env, info).sockets;
  address_t a;
  socklen_t length = sizeof a;
  getsockname(s->public_fd, &a.any, &length);
  return int_value(env, ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port));
}

// close(): the sockets must not be used afterwards.
static napi_value call_close(napi_env env, napi_callback_info info) {
  sockets_t *s = read_call(env, info).sockets;
  napi_delete_reference(env, s->on_readable);
  start_close(s);
  return NULL;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"open", call_open},          {"receive", call_receive},    {"flush", call_flush},       {"find", call_find},
      {"address", call_address},    {"openPeer", call_open_peer}, {"closePeer", call_close_peer}, {"openUpstream", call_open_upstream},
      {"closeUpstream", call_close_upstream}, {"mute", call_mute},      {"bytes", call_bytes},       {"sendBytes", call_send_bytes},
      {"port", call_port},          {"close", call_close},
      {"isolate", call_isolate},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  // Increase this whenever a function or an array changes its meaning, so that an addon of another version is not
  // loaded.
  napi_set_named_property(env, exports, "version", int_value(env, 2));
  return exports;
}
