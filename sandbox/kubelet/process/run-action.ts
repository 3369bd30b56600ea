import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Action, Container } from '../pod/pod.ts';
import type { ContainerCommand } from '../pod/resolve-command.ts';
import { markerName } from './sweep.ts';

export interface ActionPlace {
  container: Container;
  command: ContainerCommand;
  address: string;
}

/** Runs a probe or a hook. Returns false if it fails or `signal` ends it. Never throws. */
export async function runAction(action: Action, place: ActionPlace, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  const { exec, httpGet, tcpSocket, sleep } = action;
  if (exec !== undefined) return runCommand(exec.command ?? [], place.command, signal);
  if (httpGet !== undefined) {
    const url = new URL(
      httpGet.path ?? '/',
      `http://${httpGet.host ?? place.address}:${findPort(httpGet.port, place)}`,
    );
    return isHttpOk(url, signal);
  }
  if (tcpSocket !== undefined) {
    return acceptsTcp(findPort(tcpSocket.port, place), tcpSocket.host ?? place.address, signal);
  }
  if (sleep !== undefined) return delay(sleep.seconds * 1000, true, { signal }).catch(() => false);
  return false;
}

function runCommand(
  command: readonly string[],
  { directory, environment, marker }: ContainerCommand,
  signal: AbortSignal,
): Promise<boolean> {
  const [file, ...args] = command;
  if (file === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const env = { ...Object.fromEntries(environment), [markerName]: marker };
    const child = spawn(file, args, {
      cwd: directory,
      env,
      stdio: 'ignore',
      detached: true,
      signal,
      killSignal: 'SIGKILL',
    });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}

/** The kubelet accepts any status from 200 to 399. */
function isHttpOk(url: URL, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(url, { signal, agent: false, headers: { 'user-agent': 'kube-probe/sandbox' } });
    call.once('error', () => resolve(false));
    call.once('response', (response) => {
      response.resume();
      response.on('error', () => undefined);
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
    });
    call.end();
  });
}

function acceptsTcp(port: number, host: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, signal });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Returns port 0, which never answers, for a name that the container does not declare. */
function findPort(port: number | string, { container }: ActionPlace): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? (/^\d+$/.test(port) ? Number(port) : 0);
}
