import { SubtenError } from '../runtime/errors.js'

/** What is wrong with data that were given as a file: where, what was wanted, and what is there. */
export interface DataProblem {
  readonly file: string
  /** The array in the file, where it is about one. */
  readonly array?: string | undefined
  readonly wanted: string
  readonly given: string
  readonly remedy?: string | undefined
  readonly cause?: unknown
}

/** INVALID_INPUT that names file and array in its sentence, and has them with `wanted` and `given` in its details. */
export function dataError({ file, array, wanted, given, remedy, cause }: DataProblem): SubtenError {
  const where = array === undefined ? file : `${file}: array '${array}'`
  return new SubtenError('INVALID_INPUT', `${where}: ${wanted} is wanted, but ${given}`, {
    ...(remedy === undefined ? {} : { remedy }),
    cause,
    details: { file, ...(array === undefined ? {} : { array }), wanted, given },
  })
}
