import type { Clock } from '../shared/clock.ts';
import { sessionPolicy } from '../shared/fleet-names.ts';
import type { KubeConnection } from '../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../shared/log.ts';

export interface SessionProtectionOptions {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly log: Log;
}

/** The policy may be removed while we run. */
const lookAgainMs = 30_000;
const group = '/apis/admissionregistration.k8s.io/v1';

/**
 * Whether the API server refuses to let the ReplicaSet controller delete allocated pods. Assumes that it does not,
 * until that is known.
 */
export class SessionProtection {
  readonly #options: SessionProtectionOptions;
  #missing: string | undefined = 'not looked at yet';
  #wasTold = false;

  constructor(options: SessionProtectionOptions) {
    this.#options = options;
  }

  get isThere(): boolean {
    return this.#missing === undefined;
  }

  /** Why every allocation waits for its pod to leave the ReplicaSet; undefined if none has to. */
  get missing(): string | undefined {
    return this.#missing;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look(signal);
      await this.#options.clock.sleep(lookAgainMs, signal).catch(() => {});
    }
  }

  async look(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const before = this.#missing;
    try {
      this.#missing = await this.#whatIsMissing(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#missing = errorText(error);
    }
    if (this.#wasTold && before === this.#missing) return;
    this.#wasTold = true;
    if (this.#missing === undefined) log.info({ policy: sessionPolicy }, 'Sessions are protected by admission policy');
    else
      log.warn(
        { policy: sessionPolicy, reason: this.#missing },
        'No admission policy protects sessions: allocations wait for pods to leave their ReplicaSets',
      );
  }

  async #whatIsMissing(signal: AbortSignal): Promise<string | undefined> {
    const { connection } = this.#options;
    const [policy, binding] = await Promise.all(
      ['validatingadmissionpolicies', 'validatingadmissionpolicybindings'].map((resource) =>
        connection.request({ method: 'GET', path: `${group}/${resource}/${sessionPolicy}`, signal }),
      ),
    );
    if (policy?.status !== 200) return `no ValidatingAdmissionPolicy ${sessionPolicy} (${policy?.status})`;
    if (binding?.status !== 200) return `no ValidatingAdmissionPolicyBinding ${sessionPolicy} (${binding?.status})`;
    return policyProblem(policy.body, binding.body);
  }
}

interface Policy {
  readonly spec?: {
    readonly failurePolicy?: string;
    readonly matchConstraints?: {
      readonly resourceRules?: ReadonlyArray<{
        readonly operations?: readonly string[];
        readonly resources?: readonly string[];
      }>;
    };
  };
  readonly status?: { readonly typeChecking?: { readonly expressionWarnings?: readonly object[] } };
}

interface Binding {
  readonly spec?: { readonly policyName?: string; readonly validationActions?: readonly string[] };
}

/** Why the policy and its binding do not protect pods; undefined if they do. */
export function policyProblem(policyBody: unknown, bindingBody: unknown): string | undefined {
  const { spec, status } = Object(policyBody) as Policy;
  const { spec: binding } = Object(bindingBody) as Binding;
  const deletesPods = spec?.matchConstraints?.resourceRules?.some(
    ({ operations, resources }) => operations?.includes('DELETE') && resources?.includes('pods'),
  );
  if (!deletesPods) return `policy ${sessionPolicy} does not look at deletions of pods`;
  if ((status?.typeChecking?.expressionWarnings ?? []).length > 0)
    return `policy ${sessionPolicy} has faulty expressions`;
  if (binding?.policyName !== sessionPolicy) return `binding ${sessionPolicy} is of another policy`;
  if (!binding.validationActions?.includes('Deny')) return `binding ${sessionPolicy} does not deny`;
  return undefined;
}
