// Models and rows for the checks and measurements on a GPU.
import { existsSync } from 'node:fs'
import { at } from '../../scripts/step.mjs'

const FOLDERS = ['models', '.cache/models']

/** The folder of a model; undefined where it is not there. */
export const folderOf = (name) =>
  FOLDERS.map((folder) => at(folder, name)).find((path) => existsSync(path) && existsSync(`${path}/1`))

/** Seeded rows of normal noise for a model of one input; a generator of its own, so that runs compare. */
export function rowsFor(model, count, seed = 1) {
  const [input] = model.inputs
  const length = input.shape.slice(1).reduce((a, b) => a * b, 1)
  let state = seed >>> 0
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  return Array.from({ length: count }, () => ({ [input.name]: Float32Array.from({ length }, normal) }))
}

/** ‖a - b‖ / ‖b‖. NaN never passes a comparison. */
export function relativeError(a, b) {
  let difference = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2
    norm += b[i] ** 2
  }
  return a.length === b.length ? Math.sqrt(difference / norm) : Number.NaN
}
