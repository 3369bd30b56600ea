// ceiling LISTEN_PORT UPSTREAM_PORT...: a minimal proxy of the same design. It has one session per player, one
// connected socket per session and replica, and returns the replies of the first replica, with recvmmsg and sendmmsg
// throughout. It has no limits, expiry or failover: it shows what the system calls alone allow.
#include "net.h"

enum { BATCH = 128, REPLIES = 8, BYTES = 2048, MOST_SESSIONS = 8192, MOST_REPLICAS = 8, TABLE = 32768 };

typedef struct {
  struct sockaddr_in player;
  int fd[MOST_REPLICAS];
} session_t;

typedef struct {
  int count;
  int slot[BATCH];
} queue_t;

static session_t sessions[MOST_SESSIONS];
static int session_count, replica_count, ports[MOST_REPLICAS];
static int32_t table[TABLE];
static queue_t queues[MOST_SESSIONS];
static int touched[BATCH];
static uint8_t bytes[BATCH * 2][BYTES + 64];
static struct sockaddr_in from[BATCH];
static struct iovec in_iov[BATCH * 2], out_iov[BATCH * 2];
static struct mmsghdr in[BATCH * 2], out[BATCH * 2];
static int epoll_fd, public_fd;

static int session_of(const struct sockaddr_in *player) {
  uint64_t hash = (((uint64_t)player->sin_addr.s_addr << 16) | player->sin_port) * 0x9e3779b97f4a7c15u;
  uint32_t at = (uint32_t)(hash >> 40) % TABLE;
  for (; table[at] >= 0; at = (at + 1) % TABLE) {
    const struct sockaddr_in *other = &sessions[table[at]].player;
    if (other->sin_port == player->sin_port && other->sin_addr.s_addr == player->sin_addr.s_addr) return table[at];
  }
  if (session_count == MOST_SESSIONS) return -1;
  session_t *session = &sessions[session_count];
  session->player = *player;
  for (int i = 0; i < replica_count; i++) {
    session->fd[i] = udp_connected(ports[i]);
    watch(epoll_fd, session->fd[i], (uint32_t)(session_count * MOST_REPLICAS + i));
  }
  table[at] = session_count;
  return session_count++;
}

static void send_all(int fd, int count) {
  for (int sent = 0; sent < count;) {
    int now = sendmmsg(fd, out + sent, count - sent, MSG_DONTWAIT);
    sent += now > 0 ? now : 1;
  }
}

static void prepare(int at, int slot, size_t length, struct sockaddr_in *to) {
  out_iov[at] = (struct iovec){.iov_base = bytes[slot], .iov_len = length};
  out[at].msg_hdr = (struct msghdr){.msg_iov = &out_iov[at], .msg_iovlen = 1};
  if (to == NULL) return;
  out[at].msg_hdr.msg_name = to;
  out[at].msg_hdr.msg_namelen = sizeof *to;
}

static void to_replicas(void) {
  for (int i = 0; i < BATCH; i++) in[i].msg_hdr.msg_namelen = sizeof from[i];
  int got = recvmmsg(public_fd, in, BATCH, MSG_DONTWAIT, NULL), count = 0;
  for (int i = 0; i < got; i++) {
    int session = session_of(&from[i]);
    if (session < 0) continue;
    if (queues[session].count == 0) touched[count++] = session;
    queues[session].slot[queues[session].count++] = i;
  }
  for (int i = 0; i < count; i++) {
    queue_t *queue = &queues[touched[i]];
    for (int at = 0; at < queue->count; at++) prepare(at, queue->slot[at], in[queue->slot[at]].msg_len, NULL);
    for (int replica = 0; replica < replica_count; replica++) send_all(sessions[touched[i]].fd[replica], queue->count);
    queue->count = 0;
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || argc > 2 + MOST_REPLICAS) return 64;
  replica_count = argc - 2;
  for (int i = 0; i < replica_count; i++) ports[i] = atoi(argv[2 + i]);
  memset(table, 0xff, sizeof table);
  for (int i = 0; i < BATCH * 2; i++) {
    in_iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = BYTES};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &in_iov[i], .msg_iovlen = 1};
    if (i < BATCH) in[i].msg_hdr.msg_name = &from[i];
  }
  epoll_fd = epoll_create1(0);
  public_fd = udp_bound(atoi(argv[1]));
  watch(epoll_fd, public_fd, UINT32_MAX);
  printf("%d\n", port_of(public_fd));
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    int ready = epoll_wait(epoll_fd, events, 256, -1), answers = 0;
    for (int i = 0; i < ready; i++) {
      uint32_t id = events[i].data.u32;
      if (id == UINT32_MAX) continue;
      session_t *session = &sessions[id / MOST_REPLICAS];
      int slot = BATCH + answers;
      int got = recvmmsg(session->fd[id % MOST_REPLICAS], in + slot, REPLIES, MSG_DONTWAIT, NULL);
      if (id % MOST_REPLICAS != 0) continue;
      for (int reply = 0; reply < got; reply++, answers++) prepare(answers, slot + reply, in[slot + reply].msg_len, &session->player);
      if (answers > BATCH - REPLIES) send_all(public_fd, answers), answers = 0;
    }
    send_all(public_fd, answers);
    for (int i = 0; i < ready; i++)
      if (events[i].data.u32 == UINT32_MAX) to_replicas();
  }
}
