import { existsSync } from 'node:fs'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions, TritonOptions } from '../runtime/types.js'
import { type TritonFiles, tritonFiles } from './triton-files.js'

/** A setting of a model or of its server as native code takes it. */
export type Setting = readonly [key: string, value: string]

const CHOICES: { readonly [option: string]: readonly string[] } = {
  batching: ['subten', 'triton'],
  control: ['explicit', 'none', 'poll'],
  logLevel: ['error', 'warning', 'info', 'verbose'],
  rateLimiter: ['off', 'execution_count'],
}
const FOLDERS = ['backendDirectory', 'cacheDirectory', 'python'] as const
const KNOWN = [
  ...Object.keys(CHOICES),
  ...FOLDERS,
  'cache',
  'modelLoadThreads',
  'strictConfig',
  'exitTimeoutSeconds',
  'backendConfig',
]

/**
 * Checks the option `triton` of `load` and of a repository.
 *
 * @throws SubtenError CONFIG_INVALID naming the field
 */
export function checkTritonOptions(given: unknown): TritonOptions {
  if (given === undefined) return {}
  if (!isRecord(given)) throw wrong('', 'must be an object', given)
  for (const name of Object.keys(given)) {
    if (KNOWN.includes(name)) continue
    throw wrong(name, `is no option; the options are ${KNOWN.join(', ')}`)
  }
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = given[name]
    if (value === undefined || choices.includes(value as string)) continue
    throw wrong(name, `must be ${choices.map((each) => `'${each}'`).join(' or ')}`, value)
  }
  for (const name of FOLDERS) {
    const value = given[name]
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '' || /[\n\0]/.test(value)) throw wrong(name, 'must be a path', value)
    if (!existsSync(value)) throw wrong(name, `there is nothing at ${value}`)
  }
  wholeNumber(given, 'modelLoadThreads', 1, 1024)
  wholeNumber(given, 'exitTimeoutSeconds', 0, 3600)
  if (given.strictConfig !== undefined && typeof given.strictConfig !== 'boolean') {
    throw wrong('strictConfig', 'must be true or false', given.strictConfig)
  }
  checkCache(given.cache)
  checkBackendConfig(given.backendConfig)
  return given as TritonOptions
}

/** Where Triton is, or ENGINE_NOT_FOUND with where it was looked for. */
export function foundTriton(options: Pick<LoadOptions, 'engineLibrary'>): TritonFiles {
  const { files, looked } = tritonFiles(options.engineLibrary)
  if (files !== undefined) return files
  throw new SubtenError('ENGINE_NOT_FOUND', `Triton's library is not at ${looked.join(', nor at ')}`, {
    remedy:
      'In a checkout `npm run triton:install` gets it; elsewhere set TRITON_SERVER_LIB to the path of libtritonserver.so.',
    details: { looked },
  })
}

/** The settings of the server that a process has once. */
export function serverSettings(options: TritonOptions, files: TritonFiles): Setting[] {
  const { cache, backendConfig = {} } = options
  const lines = Object.entries(backendConfig).flatMap(([backend, values]) =>
    Object.entries(values).map(([key, value]) => `${backend},${key}=${value}`),
  )
  const caches = cache && Object.entries(cache.settings ?? {}).map(([key, value]) => `${cache.name},${key}=${value}`)
  const all: (readonly [string, string | number | boolean | undefined])[] = [
    ['control', options.control],
    ['backend_directory', options.backendDirectory ?? files.backendDirectory],
    ['log_level', options.logLevel],
    ['rate_limiter', options.rateLimiter],
    ['cache', caches?.join('\n')],
    ['cache_directory', options.cacheDirectory ?? files.cacheDirectory],
    ['model_load_threads', options.modelLoadThreads],
    ['strict_config', options.strictConfig],
    ['exit_timeout_s', options.exitTimeoutSeconds],
    ['python', options.python],
    ['backend_config', lines.join('\n')],
  ]
  return all.flatMap(([key, value]) => (value === undefined || value === '' ? [] : [[key, String(value)] as const]))
}

function checkCache(cache: unknown): void {
  if (cache === undefined) return
  if (!isRecord(cache)) throw wrong('cache', 'must be an object { name, settings }', cache)
  const { name, settings } = cache
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) throw wrong('cache.name', "must be a name like 'local'", name)
  if (!isRecord(settings) || Object.keys(settings).length === 0) {
    throw wrong('cache.settings', 'must have an entry; the cache local takes { size: BYTES }', settings)
  }
  checkValues('cache.settings', settings)
}

function checkBackendConfig(config: unknown): void {
  if (config === undefined) return
  if (!isRecord(config)) throw wrong('backendConfig', 'must be an object of backends', config)
  for (const [backend, values] of Object.entries(config)) {
    if (!/^[\w-]*$/.test(backend)) throw wrong(`backendConfig.${backend}`, 'is not the name of a backend')
    if (!isRecord(values)) throw wrong(`backendConfig.${backend}`, 'must be an object of settings', values)
    checkValues(`backendConfig.${backend}`, values)
  }
}

function checkValues(field: string, values: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(values)) {
    if (!/^[\w.-]+$/.test(key)) throw wrong(`${field}.${key}`, 'is not the name of a setting')
    const plain = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
    if (!plain || /[\n\0]/.test(String(value))) throw wrong(`${field}.${key}`, 'must be a string of one line', value)
  }
}

function wholeNumber(given: Record<string, unknown>, name: string, least: number, most: number): void {
  const value = given[name]
  if (value === undefined || (Number.isInteger(value) && (value as number) >= least && (value as number) <= most))
    return
  throw wrong(name, `must be a whole number from ${least} to ${most}`, value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(name: string, problem: string, given?: unknown): SubtenError {
  const field = name === '' ? 'triton' : `triton.${name}`
  const shown = given === undefined ? '' : `, not ${shownValue(given)}`
  return new SubtenError('CONFIG_INVALID', `options: ${field}: ${problem}${shown}`, { details: { field } })
}

function shownValue(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  return JSON.stringify(value).slice(0, 80)
}
