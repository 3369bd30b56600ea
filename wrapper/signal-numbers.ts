export type ForwardedSignal =
  | 'SIGHUP'
  | 'SIGINT'
  | 'SIGQUIT'
  | 'SIGUSR1'
  | 'SIGUSR2'
  | 'SIGALRM'
  | 'SIGTERM'
  | 'SIGSTKFLT'
  | 'SIGCONT'
  | 'SIGTSTP'
  | 'SIGTTIN'
  | 'SIGTTOU'
  | 'SIGURG'
  | 'SIGXCPU'
  | 'SIGXFSZ'
  | 'SIGVTALRM'
  | 'SIGPROF'
  | 'SIGWINCH'
  | 'SIGIO'
  | 'SIGPWR';

/**
 * The ordinary Linux signals (x86-64 and arm64 agree) that a process can catch and pass on. Left out, as in tini and
 * dumb-init: SIGKILL and SIGSTOP, which cannot be caught; SIGCHLD and SIGPIPE, which concern our own children and
 * pipes; and signals that report a fault of the process itself (SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGTRAP, SIGSYS,
 * SIGABRT).
 */
export const forwardedSignals: Readonly<Record<ForwardedSignal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCONT: 18,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
};

/** Every signal that can end a process, by name, with the number that a shell adds to 128. */
export const signalNumbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  ...forwardedSignals,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGSYS: 31,
};

export function isForwardedSignal(name: string): name is ForwardedSignal {
  return Object.hasOwn(forwardedSignals, name);
}
