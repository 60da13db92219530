import { type ConfigDocument, documentError } from '../repository/config-document.js'
import { isSlo, P99_NEEDS, type SubtenSettings, subtenPath } from '../repository/subten-parameters.js'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions } from '../runtime/types.js'

/** The promise of a model that has one: 99 % of the requests end within so many milliseconds. */
export interface Slo {
  readonly p99Ms: number
}

/**
 * Checks the options `slo` and `latencyCache` of `load`.
 *
 * @throws SubtenError CONFIG_INVALID naming the option
 */
export function checkSloOptions({ slo, sla, latencyCache }: LoadOptions): void {
  const wrong = (field: string, problem: string): SubtenError =>
    new SubtenError('CONFIG_INVALID', `options: ${field}: ${problem}`, { details: { field } })
  if (slo === 'contract') {
    if (sla === undefined) throw wrong('slo', "'contract' takes the latency that sla promises, and there is no sla")
  } else if (slo !== undefined && slo !== null && slo !== false && !isSlo(slo)) {
    throw wrong('slo', `must be ${P99_NEEDS}, or 'contract', or false; not ${shown(slo)}`)
  }
  if (
    latencyCache !== undefined &&
    latencyCache !== false &&
    (typeof latencyCache !== 'string' || latencyCache === '')
  ) {
    throw wrong('latencyCache', `must be the path of a directory, or false; not ${shown(latencyCache)}`)
  }
}

/**
 * The promise that a model is scheduled by: that of the option, else that of config.pbtxt, else that of the contract
 * where the option says so.
 *
 * @throws SubtenError CONFIG_INVALID where the contract was to have one and has none, or cannot be read
 */
export async function sloOf(options: LoadOptions, settings: SubtenSettings, model: string): Promise<Slo | undefined> {
  const { slo, sla } = options
  if (slo === false || slo === null) return undefined
  if (slo !== undefined && slo !== 'contract') return { p99Ms: slo.p99Ms }
  if (settings.slo !== undefined || slo === undefined || sla === undefined) return settings.slo
  const [{ readContract }, { latencyTarget }] = await Promise.all([
    import('../sla/contract.js'),
    import('../sla/latency-target.js'),
  ])
  const p99Ms = latencyTarget(typeof sla === 'string' ? await readContract(sla) : sla, model)
  if (p99Ms !== undefined) return { p99Ms }
  const problem = `the contract promises no latency that 99 % of the requests of model '${model}' are to keep`
  throw new SubtenError('CONFIG_INVALID', `options: slo: ${problem}`, {
    remedy: 'Add an objective on its latency with a target of 0.99 or more, or give slo: { p99Ms }.',
    details: { field: 'slo' },
  })
}

/** What decides whether subten can schedule a model's requests by their deadlines. */
export interface Schedulable {
  readonly engine: string
  readonly decoupled: boolean
  /** The engine has a scheduler of its own, which gets every request alone. */
  readonly engineBatches: boolean
}

/**
 * Refuses settings of scheduling for models that subten does not schedule.
 *
 * @throws SubtenError NOT_SUPPORTED that says why
 */
export function refuseUnschedulable(
  document: ConfigDocument,
  slo: Slo | undefined,
  settings: SubtenSettings,
  { engine, decoupled, engineBatches }: Schedulable,
): void {
  const why = engineBatches
    ? `the scheduler of ${engine} orders and batches the requests of this model, and knows no deadlines of ours`
    : 'the model is decoupled: how long it answers a request is not known before it does'
  if (slo !== undefined && (engineBatches || decoupled)) throw notSupported(document, 'slo', why)
  if (!engineBatches) return
  const why2 = `the scheduler of ${engine} runs and batches this model by itself`
  if (settings.deterministic) throw notSupported(document, 'deterministic', why2)
  if (settings.countMin !== undefined) throw notSupported(document, 'count_min', why2)
  if (settings.countMax !== undefined) throw notSupported(document, 'count_max', why2)
}

function notSupported(document: ConfigDocument, name: string, why: string): SubtenError {
  const path = subtenPath(name)
  const written = document.fields.parameters?.[`subten.${name}`] !== undefined
  // The same form as of what is wrong with the file: its place, the field, what it is.
  const { message, details } = written
    ? documentError(document, path, why)
    : { message: `options: ${name}: ${why}`, details: { field: name } }
  return new SubtenError('NOT_SUPPORTED', message, {
    details,
    remedy: `Leave it out${name === 'slo' ? ', or load with slo: false; deadlineMs still ends requests that are late' : ''}.`,
  })
}

function shown(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  return String(JSON.stringify(value)).slice(0, 80)
}
