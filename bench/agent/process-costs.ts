import { readFileSync } from 'node:fs';

/** The kernel counts CPU time in ticks of 10 ms on every Linux that Node supports. */
const ticksPerSecond = 100;

/** User and system time of a process so far. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may contain spaces, so fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function rssMib(pid: number): number {
  return kibibytes(pid, 'VmRSS') / 1024;
}

export function peakRssMib(pid: number): number {
  return kibibytes(pid, 'VmHWM') / 1024;
}

function kibibytes(pid: number, name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`Cannot read ${name} of process ${pid}`);
  return Number(line[1]);
}
