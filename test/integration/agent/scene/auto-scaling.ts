import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AutoScaling extends AsyncDisposable {
  readonly url: string;
  /** Every call that was granted, without the version of the API. */
  readonly calls: readonly Readonly<Record<string, string>>[];
  /** Actions that are refused from now on, and the code that says so. */
  readonly refused: Map<string, string>;
}

const namespace = 'xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"';

/** Amazon EC2 Auto Scaling, as far as a lifecycle hook needs it: the AWS Query protocol, forms in and XML out. */
export async function startAutoScaling(group: string): Promise<AutoScaling> {
  const calls: Record<string, string>[] = [];
  const refused = new Map<string, string>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { Version: _, ...call } = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
    const { Action: action = '' } = call;
    const code = refused.get(action);
    if (code !== undefined) return void response.writeHead(code === 'AccessDenied' ? 403 : 400).end(errorOf(code));
    calls.push(call);
    response.writeHead(200, { 'content-type': 'text/xml' }).end(answerTo(action, call, group));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    refused,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answerTo(action: string, call: Readonly<Record<string, string>>, group: string): string {
  const instance = `<member><InstanceId>${call['InstanceIds.member.1']}</InstanceId><AutoScalingGroupName>${group}</AutoScalingGroupName>
    <LifecycleState>Terminating:Wait</LifecycleState></member>`;
  const result =
    action === 'DescribeAutoScalingInstances' ? `<AutoScalingInstances>${instance}</AutoScalingInstances>` : '';
  return `<${action}Response ${namespace}><${action}Result>${result}</${action}Result>
    <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></${action}Response>`;
}

function errorOf(code: string): string {
  const message = code === 'AccessDenied' ? 'You may not' : 'No active Lifecycle Action found';
  return `<ErrorResponse ${namespace}><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>
    <RequestId>r</RequestId></ErrorResponse>`;
}
