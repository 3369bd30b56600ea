export interface KubeconfigOptions {
  readonly token?: string | undefined;
  /** The authority that signed the server's certificate, as PEM. */
  readonly ca?: string | undefined;
}

/**
 * A kubeconfig for the double, or for a proxy in front of it. JSON is valid YAML, so any client reads it. Without a
 * token calls carry no credentials.
 */
export function kubeconfigOf(server: string, { token, ca }: KubeconfigOptions = {}): string {
  // Client libraries refuse plain http unless verification is off.
  const trust =
    ca === undefined
      ? { 'insecure-skip-tls-verify': true }
      : { 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server, ...trust } }],
    users: [{ name: 'sandbox', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'sandbox' } }],
    'current-context': 'sandbox',
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
