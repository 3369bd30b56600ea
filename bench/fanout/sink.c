// sink [PORT [NAME]]: a replica that answers each datagram with its NAME, a space, and the datagram; without NAME with
// the datagram alone. Prints its port, then on SIGTERM the number of replies.
#include "net.h"

enum { BATCH = 64, BYTES = 2048 };

static volatile sig_atomic_t stopping;
static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

int main(int argc, char **argv) {
  char prefix[32];
  size_t prefix_bytes = argc > 2 ? (size_t)snprintf(prefix, sizeof prefix, "%s ", argv[2]) : 0;
  static uint8_t bytes[BATCH][BYTES + sizeof prefix];
  for (int i = 0; i < BATCH; i++) memcpy(bytes[i], prefix, prefix_bytes);
  static struct sockaddr_in from[BATCH];
  struct iovec iov[BATCH];
  struct mmsghdr messages[BATCH];
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  int fd = udp_bound(argc > 1 ? atoi(argv[1]) : 0);
  printf("%d\n", port_of(fd));
  fflush(stdout);
  int epoll_fd = epoll_create1(0);
  watch(epoll_fd, fd, 0);
  uint64_t answered = 0;
  while (!stopping) {
    for (int i = 0; i < BATCH; i++) {
      iov[i] = (struct iovec){.iov_base = bytes[i] + prefix_bytes, .iov_len = BYTES};
      messages[i].msg_hdr =
          (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof from[i]};
    }
    int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0) {
      struct epoll_event event;
      epoll_wait(epoll_fd, &event, 1, 100);
      continue;
    }
    for (int i = 0; i < got; i++) iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = prefix_bytes + messages[i].msg_len};
    for (int sent = 0; sent < got;) {
      int now = sendmmsg(fd, messages + sent, got - sent, 0);
      sent += now > 0 ? now : 1;
    }
    answered += (uint64_t)got;
  }
  printf("%llu\n", (unsigned long long)answered);
  return 0;
}
