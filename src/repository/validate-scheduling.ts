import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig, QueuePolicy } from './config-types.js'
import type { FieldPath } from './field-path.js'

/** Each level has a queue of its own. */
const MAX_LEVELS = 65_535

type Fail = (path: FieldPath, problem: string, remedy?: string) => never

/** Checks `dynamic_batching` and what else decides when a request runs. */
export function validateScheduling(document: ConfigDocument, config: ModelConfig): void {
  const fail: Fail = (path, problem, remedy) => {
    throw documentError(document, path, problem, remedy)
  }
  if (config.dynamic_batching) {
    const preferred = document.fields.dynamic_batching?.preferred_batch_size ?? []
    preferredSizes(preferred, ['dynamic_batching', 'preferred_batch_size'], config, fail)
    priorities(config.dynamic_batching, fail)
    if (config.dynamic_batching.preserve_ordering) ordering(config.dynamic_batching, fail)
  }
  const sequences = config.sequence_batching
  if (sequences) {
    const path = ['sequence_batching']
    preferredSizes(
      sequences.oldest?.preferred_batch_size ?? [],
      [...path, 'oldest', 'preferred_batch_size'],
      config,
      fail,
    )
    const utilization = sequences.direct?.minimum_slot_utilization ?? 0
    if (!(utilization >= 0 && utilization <= 1)) {
      fail([...path, 'direct', 'minimum_slot_utilization'], `must be between 0 and 1, not ${utilization}`)
    }
    if (config.response_cache?.enable) fail(['response_cache'], 'cannot be used together with sequence_batching')
  }
  if (config.model_transaction_policy?.decoupled && config.response_cache?.enable) {
    fail(['response_cache'], 'a decoupled model cannot have a response cache')
  }
  if (config.platform === 'ensemble' && !config.ensemble_scheduling) {
    fail(['platform'], 'an ensemble needs ensemble_scheduling')
  }
}

function preferredSizes(sizes: readonly number[], path: FieldPath, config: ModelConfig, fail: Fail): void {
  sizes.forEach((size, index) => {
    if (size < 1) fail([...path, index], `must be at least 1, not ${size}`)
    if (size > config.max_batch_size) {
      fail([...path, index], `${size} is larger than max_batch_size (${config.max_batch_size})`)
    }
  })
}

function priorities(batching: NonNullable<ModelConfig['dynamic_batching']>, fail: Fail): void {
  const { priority_levels: levels, default_priority_level: level } = batching
  if (levels > MAX_LEVELS)
    fail(['dynamic_batching', 'priority_levels'], `${levels} is above the limit of ${MAX_LEVELS}`)
  const range = levels === 0 ? 'priority_levels is not set' : `the levels are 1 to ${levels}`
  if (levels > 0 && level === 0) {
    fail(['dynamic_batching'], `priority_levels needs a default_priority_level; ${range}`)
  }
  if (level > levels) fail(['dynamic_batching', 'default_priority_level'], `there is no level ${level}; ${range}`)
  for (const key of Object.keys(batching.priority_queue_policy)) {
    if (Number(key) < 1 || Number(key) > levels) {
      fail(['dynamic_batching', 'priority_queue_policy', key], `there is no level ${key}; ${range}`)
    }
  }
}

/** Requests that are delayed, or overtaken, come out of order. */
function ordering(batching: NonNullable<ModelConfig['dynamic_batching']>, fail: Fail): void {
  if (batching.priority_levels > 1) {
    fail(['dynamic_batching', 'preserve_ordering'], `cannot hold with ${batching.priority_levels} priority levels`)
  }
  const policy = (queue: QueuePolicy, path: FieldPath): void => {
    if (queue.timeout_action === 'DELAY' && queue.default_timeout_microseconds > 0) {
      fail([...path, 'timeout_action'], 'DELAY changes the order, which preserve_ordering forbids')
    }
  }
  policy(batching.default_queue_policy, ['dynamic_batching', 'default_queue_policy'])
  for (const [level, queue] of Object.entries(batching.priority_queue_policy)) {
    policy(queue, ['dynamic_batching', 'priority_queue_policy', level])
  }
}
