import { DATATYPES, type Datatype } from '../../../runtime/datatype.js'
import { SubtenError } from '../../../runtime/errors.js'
import { quoted } from '../../problem.js'
import { longInteger } from './bounded-json.js'

const MAX_RANK = 32
const MAX_ELEMENTS = 2 ** 31 - 1

export function invalid(message: string, remedy?: string): SubtenError {
  return new SubtenError('INVALID_INPUT', message, { remedy })
}

/** A shape of a request: whole numbers from 0, whose product (also with every 0 left out) stays countable. */
export function readShape(value: unknown, tensor: string): number[] {
  if (!Array.isArray(value)) throw invalid(`input ${tensor}: 'shape' must be an array of whole numbers`)
  if (value.length > MAX_RANK) throw invalid(`input ${tensor}: 'shape' has more than ${MAX_RANK} dimensions`)
  for (const d of value) {
    if (!Number.isSafeInteger(d) || d < 0) {
      const shown = quoted(longInteger(d) ?? String(JSON.stringify(d)))
      throw invalid(`input ${tensor}: 'shape' must hold whole numbers from 0, not ${shown}`)
    }
  }
  const shape = value as number[]
  let size = 1
  for (const d of shape) {
    size *= Math.max(1, d)
    if (size > MAX_ELEMENTS) throw invalid(`input ${tensor}: 'shape' has more than ${MAX_ELEMENTS} elements`)
  }
  return shape
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1)
}

export function readDatatype(value: unknown, tensor: string): Datatype {
  if (typeof value !== 'string') throw invalid(`input ${tensor}: 'datatype' must be a string`)
  if (DATATYPES.includes(value as Datatype)) return value as Datatype
  const remedy = `Send one of ${DATATYPES.join(', ')}.`
  throw invalid(`input ${tensor}: datatype ${quoted(value)} is not known`, remedy)
}
