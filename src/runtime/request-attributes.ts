import { SubtenError } from './errors.js'
import type { InferOptions } from './types.js'

/** What a request carries beside its tensors, as native code takes it. */
export interface RequestAttributes {
  readonly id: string
  /** '': the request belongs to no sequence. */
  readonly sequence: string | bigint
  /** 1: first of its sequence, 2: last of it. */
  readonly flags: number
  readonly parameters: readonly (readonly [name: string, value: string | number | bigint | boolean])[]
}

const START = 1
const END = 2
/** Longest name of a sequence, bytes of UTF-8; Triton's own limit. */
const SEQUENCE_NAME_BYTES = 128
const MOST_PARAMETERS = 1024
const MAX_UINT64 = 2n ** 64n - 1n
const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

/** The attributes of a request whose options were checked; undefined where it has none. */
export function attributesOf(options: InferOptions | undefined): RequestAttributes | undefined {
  if (options === undefined) return undefined
  const { id = '', sequence, parameters } = options
  if (id === '' && sequence === undefined && parameters === undefined) return undefined
  const flags = (sequence?.start ? START : 0) | (sequence?.end ? END : 0)
  const name = sequence?.id ?? ''
  return {
    id,
    sequence: typeof name === 'number' ? BigInt(name) : name,
    flags,
    parameters: parameters === undefined ? [] : Object.entries(parameters),
  }
}

/**
 * Checks `id`, `sequence` and `parameters` of a request.
 *
 * @param taken whether the engine of the model takes them
 * @throws SubtenError INVALID_INPUT naming the option; NOT_SUPPORTED where the engine has no sequences or parameters
 */
export function checkAttributes(options: InferOptions, taken: boolean): void {
  const { id, sequence, parameters } = options
  if (!taken) {
    const name = sequence !== undefined ? 'sequence' : parameters !== undefined ? 'parameters' : undefined
    if (name === undefined) return
    throw new SubtenError('NOT_SUPPORTED', `the engine of this model takes no ${name} with a request`, {
      remedy: "Sequences and request parameters belong to engine: 'triton'; leave the option out.",
    })
  }
  if (id !== undefined && typeof id !== 'string') throw wrong('id', 'a string', id)
  if (sequence !== undefined) checkSequence(sequence)
  if (parameters !== undefined) checkParameters(parameters)
}

function checkSequence(sequence: unknown): void {
  if (typeof sequence !== 'object' || sequence === null || Array.isArray(sequence)) {
    throw wrong('sequence', 'an object { id, start, end }', sequence)
  }
  const { id, start, end } = sequence as { id?: unknown; start?: unknown; end?: unknown }
  const isNumber = typeof id === 'number' && Number.isSafeInteger(id) && id > 0
  const isBigint = typeof id === 'bigint' && id > 0n && id <= MAX_UINT64
  const isName = typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= SEQUENCE_NAME_BYTES
  if (!isNumber && !isBigint && !isName) {
    throw wrong('sequence.id', `a whole number from 1 to 2^64 - 1, or a name of 1 to ${SEQUENCE_NAME_BYTES} bytes`, id)
  }
  if (start !== undefined && typeof start !== 'boolean') throw wrong('sequence.start', 'true or false', start)
  if (end !== undefined && typeof end !== 'boolean') throw wrong('sequence.end', 'true or false', end)
}

function checkParameters(parameters: unknown): void {
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    throw wrong('parameters', 'an object of names and values', parameters)
  }
  const entries = Object.entries(parameters)
  if (entries.length > MOST_PARAMETERS) {
    throw new SubtenError('INVALID_INPUT', `parameters has ${entries.length} entries; at most ${MOST_PARAMETERS} go`)
  }
  for (const [name, value] of entries) {
    if (name === '') throw new SubtenError('INVALID_INPUT', 'parameters has an entry without a name')
    const whole = typeof value === 'bigint' && value >= MIN_INT64 && value <= MAX_INT64
    const number = typeof value === 'number' && Number.isFinite(value)
    if (whole || number || typeof value === 'string' || typeof value === 'boolean') continue
    throw wrong(`parameters.${name}`, 'a string, a finite number, a bigint of 64 bits or a boolean', value)
  }
}

function wrong(what: string, needs: string, given: unknown): SubtenError {
  const plain = typeof given === 'number' || typeof given === 'bigint' || given === null
  const shown = plain ? String(given) : Array.isArray(given) ? 'an array' : `a ${typeof given}`
  const text = typeof given === 'string' ? `a string of ${Buffer.byteLength(given)} bytes` : shown
  return new SubtenError('INVALID_INPUT', `${what} must be ${needs}, not ${text}`)
}
