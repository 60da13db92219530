import type { Inputs } from '../runtime/types.js'

/** Rows for a model, with or without the class that each of them is. */
export interface Dataset {
  readonly path: string
  readonly count: number
  /** Class of each row; undefined where the data have none. */
  readonly labels?: Int32Array
  /**
   * Rows from ≤ i < to with a leading dimension, as inputs of the model. A model whose inputs have no leading dimension
   * takes one row at a time.
   */
  rows(from: number, to: number): Promise<Inputs>
  /** SHA-256 over the content of the rows and their labels, hex: whatever the file is called or how it is compressed. */
  readonly sha256: string
}
