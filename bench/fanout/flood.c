// flood PORT ADDRESSES RATE ROUNDS: sends a datagram from each of ADDRESSES made-up sources (all of 127.0.0.0/8 is this
// machine's), RATE a second, ROUNDS times: small ones, empty ones, garbage, and one in 4096 of 65,507 bytes. Prints the
// number sent.
#include "net.h"
#include <netinet/in.h>

enum { BATCH = 64, SMALL = 1400, LARGE = 65507 };

int main(int argc, char **argv) {
  if (argc != 5) return 64;
  long addresses = atol(argv[2]), rate = atol(argv[3]), all = addresses * atol(argv[4]), sent = 0;
  static uint8_t large[LARGE];
  static uint8_t control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
  struct iovec iov[BATCH];
  struct mmsghdr messages[BATCH];
  struct sockaddr_in to = loopback(atoi(argv[1]));
  int fd = udp_socket();
  uint64_t seed = 88172645463325252u, begin = now_ns();
  for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i * 31);
  while (sent < all) {
    long due = (long)((double)(now_ns() - begin) * (double)rate / 1e9) - sent;
    if (due < 1) continue;
    int count = (int)(due > BATCH ? BATCH : due);
    if (count > all - sent) count = (int)(all - sent);
    for (int i = 0; i < count; i++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      long number = sent + i;
      iov[i] = (struct iovec){.iov_base = large, .iov_len = number % 4096 == 0 ? LARGE : seed % SMALL};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &to,
                                            .msg_namelen = sizeof to,
                                            .msg_iov = &iov[i],
                                            .msg_iovlen = 1,
                                            .msg_control = control[i],
                                            .msg_controllen = sizeof control[i]};
      struct cmsghdr *header = CMSG_FIRSTHDR(&messages[i].msg_hdr);
      header->cmsg_level = IPPROTO_IP;
      header->cmsg_type = IP_PKTINFO;
      header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
      struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f100000u + (uint32_t)(number % addresses % 0xe00000))};
      memcpy(CMSG_DATA(header), &info, sizeof info);
    }
    for (int done = 0; done < count;) {
      int now = sendmmsg(fd, messages + done, count - done, 0);
      done += now > 0 ? now : 1;
    }
    sent += count;
  }
  printf("%ld\n", sent);
  return 0;
}
