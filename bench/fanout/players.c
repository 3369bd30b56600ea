// players PORT FLOWS WINDOW RATE WARM_MS RUN_MS BYTES: the load. With RATE 0 each flow keeps WINDOW datagrams in flight
// and sends the next one for each reply, which is the maximum without loss. Otherwise RATE datagrams a second are sent
// evenly, regardless of replies. Prints "counting" after the warm-up, then one JSON line: sent, received, lost
// (unanswered a while after the end), seconds, latencies in microseconds.
#include "net.h"

enum { MOST_FLOWS = 4096, BATCH = 64, MOST_BYTES = 2048, BUCKETS = 200000 };

typedef struct {
  int fd;
  int under_way;
  uint64_t last_ns;
} flow_t;

static flow_t flows[MOST_FLOWS];
static uint32_t histogram[BUCKETS + 1]; // Tenths of a microsecond.
static uint64_t sent, received, lost, counted;
static uint8_t payload[BATCH][MOST_BYTES];
static struct iovec iov[BATCH];
static struct mmsghdr messages[BATCH];
static int bytes;
static bool is_counting;

static void send_some(flow_t *flow, int count, uint64_t now) {
  for (int i = 0; i < count; i++) {
    memcpy(payload[i], &now, sizeof now);
    iov[i].iov_len = (size_t)bytes;
  }
  int done = sendmmsg(flow->fd, messages, count, 0);
  if (done < 0) done = 0;
  flow->under_way += done;
  flow->last_ns = now;
  sent += (uint64_t)done;
}

static int receive_some(flow_t *flow) {
  for (int i = 0; i < BATCH; i++) iov[i].iov_len = MOST_BYTES;
  int got = recvmmsg(flow->fd, messages, BATCH, MSG_DONTWAIT, NULL);
  if (got <= 0) return 0;
  uint64_t now = now_ns();
  for (int i = 0; i < got; i++) {
    uint64_t then;
    memcpy(&then, payload[i], sizeof then);
    uint64_t tenths = (now - then) / 100;
    if (is_counting) histogram[tenths < BUCKETS ? tenths : BUCKETS]++, counted++;
  }
  received += (uint64_t)got;
  flow->under_way -= got;
  flow->last_ns = now;
  return got;
}

static uint64_t sent_before, received_before, lost_before;

static void begin_counting(void) {
  is_counting = true;
  sent_before = sent, received_before = received, lost_before = lost;
  printf("counting\n");
  fflush(stdout);
}

static double percentile(double share) {
  uint64_t below = 0;
  for (int i = 0; i <= BUCKETS; i++)
    if ((below += histogram[i]) >= share * (double)counted && below > 0) return i / 10.0;
  return -1;
}

int main(int argc, char **argv) {
  if (argc != 8) return 64;
  int port = atoi(argv[1]), count = atoi(argv[2]), window = atoi(argv[3]), rate = atoi(argv[4]);
  uint64_t warm_ns = strtoull(argv[5], NULL, 10) * 1000000u, run_ns = strtoull(argv[6], NULL, 10) * 1000000u;
  bytes = atoi(argv[7]);
  if (count > MOST_FLOWS || window > BATCH || bytes > MOST_BYTES || bytes < 8) return 64;
  for (int i = 0; i < BATCH; i++) {
    iov[i].iov_base = payload[i];
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
  }
  int epoll_fd = epoll_create1(0);
  for (int i = 0; i < count; i++) {
    flows[i].fd = udp_connected(port);
    watch(epoll_fd, flows[i].fd, (uint32_t)i);
  }
  struct epoll_event events[256];
  uint64_t begin = now_ns(), from = begin + warm_ns, end = from + run_ns, scheduled = 0, checked = begin;
  for (uint64_t now = begin; now < end; now = now_ns()) {
    if (!is_counting && now >= from) begin_counting();
    if (rate > 0) {
      uint64_t due = (uint64_t)((double)(now - begin) * rate / 1e9);
      // At most a hundred behind: a pause of this program must not become a burst.
      if (due > scheduled + 100) scheduled = due - 100;
      for (; scheduled < due; scheduled++) send_some(&flows[scheduled % (uint64_t)count], 1, now_ns());
    } else if (now - checked > 20000000u || checked == begin) {
      checked = now;
      for (int i = 0; i < count; i++) {
        bool is_stuck = flows[i].under_way > 0 && now - flows[i].last_ns > 100000000u;
        if (is_stuck) lost += (uint64_t)flows[i].under_way, flows[i].under_way = 0;
        if (flows[i].under_way == 0) send_some(&flows[i], window, now);
      }
    }
    int ready = epoll_wait(epoll_fd, events, 256, rate > 0 ? 0 : 10);
    for (int i = 0; i < ready; i++) {
      flow_t *flow = &flows[events[i].data.u32];
      int got = receive_some(flow);
      if (rate == 0 && got > 0 && flow->under_way < window) send_some(flow, window - flow->under_way, now_ns());
    }
  }
  // On a busy machine this program may sleep through the whole counting period.
  if (!is_counting) begin_counting();
  uint64_t sent_in_time = sent, received_in_time = received;
  printf("ended\n");
  fflush(stdout);
  is_counting = false;
  for (uint64_t now = end; now < end + 200000000u; now = now_ns()) {
    int ready = epoll_wait(epoll_fd, events, 256, 10);
    for (int i = 0; i < ready; i++) receive_some(&flows[events[i].data.u32]);
  }
  for (int i = 0; i < count; i++) lost += flows[i].under_way > 0 ? (uint64_t)flows[i].under_way : 0;
  printf("{\"sent\":%llu,\"received\":%llu,\"lost\":%llu,\"seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
         (unsigned long long)(sent_in_time - sent_before), (unsigned long long)(received_in_time - received_before),
         (unsigned long long)(lost - lost_before), (double)run_ns / 1e9, percentile(0.5), percentile(0.99));
  return 0;
}
