import type { ModelConfig, QueuePolicy } from '../repository/config-types.js'
import type { SubtenSettings } from '../repository/subten-parameters.js'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions } from '../runtime/types.js'
import { checkSloOptions, type Slo } from './slo.js'

const WAKE = { auto: 0, latency: 1, powersave: 2 } as const
const DEFAULT_QUEUE = 4096
const MAX_QUEUE = 32_768

/** The options of `load` that concern the core, checked. */
export function checkOptions(options: LoadOptions): void {
  const wrong = (field: string, needs: string): SubtenError =>
    new SubtenError('CONFIG_INVALID', `options: ${field}: ${needs}, not ${JSON.stringify(options[field])}`, {
      details: { field },
    })
  if (options.wake !== undefined && !(options.wake in WAKE))
    throw wrong('wake', "must be 'auto', 'latency' or 'powersave'")
  if (options.whenFull !== undefined && options.whenFull !== 'reject' && options.whenFull !== 'wait') {
    throw wrong('whenFull', "must be 'reject' or 'wait'")
  }
  const { memoryMb, maxQueueSize, slowMs } = options
  if (slowMs !== undefined && !(typeof slowMs === 'number' && slowMs > 0)) {
    throw wrong('slowMs', 'must be a number of milliseconds above 0')
  }
  if (memoryMb !== undefined && !(typeof memoryMb === 'number' && memoryMb > 0 && memoryMb <= 65536)) {
    throw wrong('memoryMb', 'must be a number of MiB above 0, at most 65536')
  }
  if (
    maxQueueSize !== undefined &&
    !(Number.isInteger(maxQueueSize) && maxQueueSize > 0 && maxQueueSize <= MAX_QUEUE)
  ) {
    throw wrong('maxQueueSize', `must be a whole number of requests from 1 to ${MAX_QUEUE}`)
  }
  const { sla, slaState } = options
  const contract = typeof sla === 'string' || (typeof sla === 'object' && Array.isArray(sla?.objectives))
  if (sla !== undefined && !contract) throw wrong('sla', 'must be the path of a contract, or a contract that was read')
  if (slaState !== undefined && (typeof slaState !== 'string' || sla === undefined)) {
    throw wrong('slaState', 'must be the path of a file, and needs sla')
  }
  checkSloOptions(options)
}

/** What the core needs to know of a model beside its configuration. */
export interface CoreFacts {
  /** Kept with the core for other environments, as JSON. */
  readonly info: string
  /** The model in messages. */
  readonly label: string
  readonly decoupled: boolean
  /** Batches, or requests, that the engine takes at once; those of the configuration where absent. */
  readonly instances?: number
  /** The engine has a scheduler of its own, which gets every request alone. */
  readonly engineBatches?: boolean
}

/** What requests are scheduled by beside config.pbtxt's own settings. */
export interface Scheduling {
  readonly slo: Slo | undefined
  readonly settings: SubtenSettings
  /** Latencies that an earlier process has learned; '' for none. */
  readonly latencyTable: string
}

/** What `createPort` takes: config.pbtxt and options, in native terms. */
export function coreOptions(
  config: ModelConfig,
  options: LoadOptions,
  facts: CoreFacts,
  { slo, settings, latencyTable }: Scheduling,
): object {
  const { engineBatches = false, instances, ...kept } = facts
  const batching = config.dynamic_batching
  const levels = batching?.priority_levels ?? 0
  const policies = batching?.priority_queue_policy ?? {}
  const policy = (level: number): object =>
    levelPolicy(
      (policies as Record<string, QueuePolicy>)[level] ?? batching?.default_queue_policy,
      options.maxQueueSize,
    )
  return {
    maxBatchSize: config.max_batch_size,
    // A promise of a latency is kept by batching, whether or not config.pbtxt asks for it.
    dynamic: !engineBatches && (batching ? config.max_batch_size > 0 : slo !== undefined && config.max_batch_size > 1),
    preferred: batching?.preferred_batch_size ?? [],
    maxQueueDelayUs: engineBatches ? 0 : (batching?.max_queue_delay_microseconds ?? 0),
    preserveOrdering: !engineBatches && (batching?.preserve_ordering ?? false),
    defaultLevel: batching?.default_priority_level || 1,
    levels: Array.from({ length: Math.max(1, levels) }, (_, i) => policy(i + 1)),
    instances: instances ?? config.instance_group.reduce((sum, group) => sum + group.count, 0),
    wake: WAKE[options.wake ?? 'auto'],
    memoryBytes: Math.ceil((options.memoryMb ?? 64) * 1024 * 1024),
    maxQueueSize: options.maxQueueSize ?? DEFAULT_QUEUE,
    slowLimitUs: options.slowMs === Number.POSITIVE_INFINITY ? -1 : (options.slowMs ?? 0) * 1000,
    debug: options.debug === true,
    sloNs: Math.round((slo?.p99Ms ?? 0) * 1e6),
    deterministic: settings.deterministic ?? false,
    countMin: settings.countMin ?? 0,
    countMax: settings.countMax ?? 0,
    weight: settings.weight ?? 0,
    latencyTable,
    ...kept,
  }
}

function levelPolicy(policy: QueuePolicy | undefined, maxQueueSize: number | undefined): object {
  return {
    maxQueueSize: Math.min(MAX_QUEUE, maxQueueSize ?? (policy?.max_queue_size || DEFAULT_QUEUE)),
    timeoutUs: policy?.default_timeout_microseconds ?? 0,
    timeoutDelays: policy?.timeout_action === 'DELAY',
    allowTimeoutOverride: policy?.allow_timeout_override ?? false,
  }
}
