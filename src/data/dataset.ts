import { stat } from 'node:fs/promises'
import type { Model } from '../runtime/types.js'
import { openArrays } from './array-dataset.js'
import { dataError } from './data-error.js'
import { openPictures } from './picture-dataset.js'
import type { Dataset } from './types.js'

export type { Dataset } from './types.js'

/** How much of the data is used. */
export interface DatasetOptions {
  /** At most so many rows, spread evenly over the data, since these often come class by class. */
  readonly limit?: number | undefined
}

/**
 * Opens data for a model: an .npz with an array for each input (of its type, or of one whose numbers the input holds
 * exactly; a model with one input takes any one array of the right shape) and optionally `labels`; or a folder of PNG,
 * JPEG and WebP pictures, in folders named as their label (labels.txt) or as its index, or all in one without labels.
 *
 * @throws SubtenError INVALID_INPUT with file, array, what was wanted and what was given; CONFIG_INVALID and
 *   NOT_SUPPORTED where the model's own description cannot take such data
 */
export async function openDataset(path: string, model: Model, options: DatasetOptions = {}): Promise<Dataset> {
  const { limit } = options
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw dataError({ file: path, wanted: 'a limit that is a whole number from 1', given: `it is ${limit}` })
  }
  const status = await stat(path).catch((cause: unknown) => {
    throw dataError({ file: path, wanted: 'an .npz file or a folder of pictures', given: 'there is none', cause })
  })
  return status.isDirectory() ? openPictures(path, model, limit) : openArrays(path, model, limit)
}
