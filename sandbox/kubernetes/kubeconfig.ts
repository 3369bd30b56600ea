/** A kubeconfig for the double. JSON is YAML, so any client reads it. Without a token calls carry no credentials. */
export function kubeconfigOf(server: string, token?: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sandbox', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'sandbox', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'sandbox' } }],
    'current-context': 'sandbox',
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
