import { type ConfigDocument, documentError } from './config-document.js'
import type { ModelConfig } from './config-types.js'
import { ENGINES } from './engines.js'
import { type FieldPath, suggestion } from './field-path.js'

/** Names of `parameters` entries that are ours and not the engine's. */
const PREFIX = 'subten.'
/** Far above any machine's use; a larger number is a slip. */
export const MAX_INSTANCES = 64
/** Longest `p99Ms`, an hour: a larger number is a slip of the unit. */
export const MAX_P99_MS = 3_600_000

/** What a promise of a latency must be, in the words of an error. */
export const P99_NEEDS = `{ p99Ms } with a number of milliseconds above 0, at most ${MAX_P99_MS}`

/** What `parameters` entries named `subten.<name>` say: settings that go beyond Triton's schema. */
export interface SubtenSettings {
  /** `subten.slo`. */
  readonly slo?: { readonly p99Ms: number }
  /** `subten.count_min`, `subten.count_max`: instances that may run. */
  readonly countMin?: number
  readonly countMax?: number
  /** `subten.deterministic`: every batch is padded to max_batch_size. */
  readonly deterministic?: boolean
  /** `subten.weight`: share of the machine. */
  readonly weight?: number
  /** `subten.cheaper_variant`: a sibling in the repository, or a path. */
  readonly cheaperVariant?: string
  /** `subten.engine`: the engine instead of the one that the backend has. */
  readonly engine?: (typeof ENGINES)[number]
  /** `subten.plan_sha256`: the digest of the plan of TensorRT that may be run. */
  readonly planSha256?: string
}

/** One setting: its field, and how its JSON value is told from a wrong one. */
interface Entry {
  readonly field: keyof SubtenSettings
  readonly takes: (value: unknown) => boolean
  readonly needs: string
}

const count = (field: keyof SubtenSettings): Entry => ({
  field,
  takes: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_INSTANCES,
  needs: `a whole number from 1 to ${MAX_INSTANCES}`,
})

const ENTRIES: ReadonlyMap<string, Entry> = new Map([
  ['subten.slo', { field: 'slo', takes: isSlo, needs: P99_NEEDS }],
  ['subten.count_min', count('countMin')],
  ['subten.count_max', count('countMax')],
  ['subten.deterministic', { field: 'deterministic', takes: (v) => typeof v === 'boolean', needs: 'true or false' }],
  ['subten.weight', { field: 'weight', takes: isPositive, needs: 'a number above 0' }],
  [
    'subten.cheaper_variant',
    { field: 'cheaperVariant', takes: isPath, needs: 'the name of a model beside it, or a path' },
  ],
  [
    'subten.engine',
    {
      field: 'engine',
      takes: (value) => ENGINES.some((engine) => engine === value),
      needs: `one of ${ENGINES.map((engine) => JSON.stringify(engine)).join(', ')}, in quotes of its own`,
    },
  ],
  [
    'subten.plan_sha256',
    {
      field: 'planSha256',
      takes: (v) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v),
      needs: 'a SHA-256 in 64 small hexadecimal digits, in quotes of its own',
    },
  ],
])

/** How pictures become inputs, and its older name: whoever takes pictures reads and checks it (src/image/image-spec.ts). */
const PREPROCESS = 'subten.preprocess'
const OLDER_PREPROCESS = 'subten.image'
/** JSON objects that are looked at where they are used, and not when a model is loaded. */
const READ_ELSEWHERE: ReadonlySet<string> = new Set([
  PREPROCESS,
  OLDER_PREPROCESS,
  'subten.quantization',
  'subten.accuracy',
])
const NAMES: readonly string[] = [...ENTRIES.keys(), ...READ_ELSEWHERE].filter((name) => name !== OLDER_PREPROCESS)

/** Where a setting stands, for errors about it. */
export function subtenPath(name: string): FieldPath {
  return ['parameters', `${PREFIX}${name}`, 'string_value']
}

/** `{ p99Ms }`, and nothing else in it. */
export function isSlo(value: unknown): value is { p99Ms: number } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { p99Ms } = value as { p99Ms?: unknown }
  return Object.keys(value).length === 1 && isPositive(p99Ms) && p99Ms <= MAX_P99_MS
}

/**
 * Reads the entries of `parameters` that are ours.
 *
 * @param partial whether `max_batch_size` and the instances are still to be completed from the model
 * @throws SubtenError CONFIG_INVALID with file, line and field: no JSON, an unknown name, a value that is wrong or
 *   contradicts another setting
 */
export function subtenSettings(document: ConfigDocument, config: ModelConfig, partial = false): SubtenSettings {
  const settings: { -readonly [K in keyof SubtenSettings]: unknown } = {}
  for (const [name, { string_value: text }] of Object.entries(config.parameters)) {
    if (!isSubtenParameter(name)) continue
    const path = subtenPath(name.slice(PREFIX.length))
    const value = parsed(document, path, text)
    if (READ_ELSEWHERE.has(name)) continue
    const entry = ENTRIES.get(name)
    if (entry === undefined) {
      const remedy = `The names are ${NAMES.join(', ')}; parameters of an engine have other names.`
      throw documentError(document, path.slice(0, 2), `unknown setting${suggestion(name, NAMES)}`, remedy)
    }
    if (!entry.takes(value)) throw documentError(document, path, `must be ${entry.needs}, not ${shown(text)}`)
    settings[entry.field] = value
  }
  checkTogether(document, config, settings as SubtenSettings, partial)
  return settings as SubtenSettings
}

export function isSubtenParameter(name: string): boolean {
  return name.startsWith(PREFIX)
}

/** The parameters of a configuration that are the engine's: all but ours. */
export function engineParameters(config: ModelConfig): [name: string, value: string][] {
  const entries = Object.entries(config.parameters).filter(([name]) => !isSubtenParameter(name))
  return entries.map(([name, { string_value }]) => [name, string_value])
}

/** Instances where no instance_group says how many: the fewest that may run, or 1. What is wrong is found later. */
export function leastInstances(parameters: ModelConfig['parameters']): number {
  const least = Number(parameters[`${PREFIX}count_min`]?.string_value)
  return Number.isInteger(least) && least >= 1 && least <= MAX_INSTANCES ? least : 1
}

function checkTogether(
  document: ConfigDocument,
  config: ModelConfig,
  settings: SubtenSettings,
  partial: boolean,
): void {
  const { countMin, countMax, deterministic } = settings
  if (PREPROCESS in config.parameters && OLDER_PREPROCESS in config.parameters) {
    const remedy = `Take ${OLDER_PREPROCESS} out.`
    throw documentError(document, subtenPath('image'), `is the older name of ${PREPROCESS}, which is there too`, remedy)
  }
  if (countMin !== undefined && countMax !== undefined && countMin > countMax) {
    throw documentError(document, subtenPath('count_min'), `${countMin} is above subten.count_max (${countMax})`)
  }
  const instances = config.instance_group.reduce((sum, group) => sum + group.count, 0)
  if (countMin !== undefined && instances < countMin) {
    const problem = `the instances of instance_group (${instances}) are fewer than subten.count_min (${countMin})`
    throw documentError(document, subtenPath('count_min'), problem)
  }
  if (countMax !== undefined && instances > countMax) {
    const problem = `the instances of instance_group (${instances}) are more than subten.count_max (${countMax})`
    throw documentError(document, subtenPath('count_max'), problem)
  }
  const completedLater = partial && document.fields.max_batch_size === undefined
  if (deterministic && config.max_batch_size === 0 && !completedLater) {
    throw documentError(
      document,
      subtenPath('deterministic'),
      'needs a max_batch_size above 0: batches are padded to it',
    )
  }
}

function parsed(document: ConfigDocument, path: FieldPath, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw documentError(
      document,
      path,
      `the value of a "subten." parameter is JSON, and this is not: ${reason}`,
      'Write a number or true as it is, and a string in quotes of its own: string_value: "\\"digits_int8\\"".',
    )
  }
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= 4096 && !value.includes('\0')
}

function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
