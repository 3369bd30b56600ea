// pin CPU[,CPU...] COMMAND ARGS...: runs a command on these CPUs only.
#include "net.h"

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (char *cpu = strtok(argv[1], ","); cpu != NULL; cpu = strtok(NULL, ",")) CPU_SET(atoi(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0) die("sched_setaffinity");
  execvp(argv[2], argv + 2);
  die(argv[2]);
}
