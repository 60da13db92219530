import { channel } from 'node:diagnostics_channel'
import type { Change } from './objective-meter.js'
import type { Objective, ObjectiveStatus, SlaEvent } from './types.js'
import { Webhook, type WebhookCounts, type WebhookOptions } from './webhook.js'

/** Subscribers of the channel `subten:sla` get every {@link SlaEvent} of this environment. */
const sla = channel('subten:sla')

export function slaEvent(objective: Objective, change: Change, status: ObjectiveStatus, at: number): SlaEvent {
  const { name, service, owner, consequences, indicator } = objective
  return {
    type: change.type,
    at,
    model: indicator.model,
    objective: name,
    service,
    owner,
    consequences,
    ...('alert' in change && { alert: change.alert }),
    status,
  }
}

export function publish(event: SlaEvent): void {
  if (sla.hasSubscribers) sla.publish(event)
}

/** The receivers of a contract's objectives, one queue for each address. */
export class Webhooks {
  readonly #byAddress = new Map<string, Webhook>()
  /** By objective. */
  readonly #receivers = new Map<
    string,
    { readonly policy: string; readonly whenResolved: boolean; readonly webhook: Webhook }[]
  >()

  /**
   * @param environment where the secrets are; a target whose variable is not set gets nothing, since it could not tell
   *   whom it is from, and `warn` says so
   */
  constructor(
    objectives: readonly Objective[],
    options: WebhookOptions = {},
    environment: Readonly<Record<string, string | undefined>> = process.env,
  ) {
    const warn = options.warn ?? ((message: string) => process.emitWarning(message, { code: 'SUBTEN_WEBHOOK' }))
    for (const { name, alerts } of objectives) {
      const receivers = alerts.flatMap(({ name: policy, targets, whenResolved = true }) =>
        targets.flatMap(({ name: target, url, secretEnv }) => {
          if (url === undefined) return []
          if (!/^https?:$/.test(protocolOf(url))) {
            warn(`webhook '${target}': only http and https addresses are posted to`)
            return []
          }
          const address = `${url} ${secretEnv ?? ''}`
          let webhook = this.#byAddress.get(address)
          if (webhook === undefined) {
            const secret = secretEnv === undefined ? undefined : environment[secretEnv]
            if (secretEnv !== undefined && !secret) {
              warn(`webhook '${target}': the environment variable ${secretEnv} is not set, so nothing is sent to it`)
              return []
            }
            webhook = new Webhook({ name: target, url, secret }, options)
            this.#byAddress.set(address, webhook)
          }
          return [{ policy, whenResolved, webhook }]
        }),
      )
      this.#receivers.set(name, receivers)
    }
  }

  /** Alerts go to the targets of their policy, what is broken or met again to all of the objective, once each. */
  send(event: SlaEvent): void {
    const told = new Set<Webhook>()
    for (const { policy, whenResolved, webhook } of this.#receivers.get(event.objective) ?? []) {
      if (event.alert !== undefined && event.alert.policy !== policy) continue
      const over = event.type === 'resolved' || event.type === 'met'
      if ((over && !whenResolved) || told.has(webhook)) continue
      told.add(webhook)
      webhook.send(event)
    }
  }

  get counts(): readonly (WebhookCounts & { readonly target: string })[] {
    return [...this.#byAddress.values()].map((webhook) => ({ target: webhook.target.name, ...webhook.counts }))
  }

  async close(waitMs: number): Promise<void> {
    await Promise.all([...this.#byAddress.values()].map((webhook) => webhook.close(waitMs)))
  }
}

function protocolOf(url: string): string {
  try {
    return new URL(url).protocol
  } catch {
    return ''
  }
}
