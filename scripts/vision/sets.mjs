// The sets of pictures: which seed, how many, where they lie. Picture i shows class i modulo the number of classes.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { photograph } from './camera.mjs'
import { LABELS } from './signs.mjs'

/** Held out: what accuracies are stated for. Calibration: what ranges of activations are taken from. */
export const SETS = {
  heldout: { seed: 'held out 1', count: 2000, hardness: 1 },
  calibration: { seed: 'calibration 1', count: 512, hardness: 1 },
  train: { seed: 'train 1', count: 20480, hardness: 1 },
}

/** JPEG bytes of a picture of a set. */
export const pictureOf = (name, index) => photograph(SETS[name].seed, index, labelOf(index), SETS[name].hardness)

export const labelOf = (index) => index % LABELS.length

/** Calls `use(index)` for 0 ≤ index < count, four at a time: as many as libuv has threads to render on. */
export async function forEachIndex(count, use, lanes = 4) {
  let next = 0
  const lane = async () => {
    while (next < count) await use(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/**
 * Writes the first `count` pictures of a set as `folder/<label>/<number>.jpg`, with the names numbered over the whole set.
 * A folder that has them already is left as it is. Returns whether anything was made.
 */
export async function writePictures(name, folder, count = SETS[name].count) {
  const note = `${folder}.made.json`
  const wanted = JSON.stringify({ set: name, ...SETS[name], count, drawn: drawnBy() })
  if (existsSync(folder) && existsSync(note) && readFileSync(note, 'utf8') === wanted) return false
  const fresh = `${folder}.${process.pid}`
  for (const label of LABELS) mkdirSync(join(fresh, label), { recursive: true })
  await forEachIndex(count, async (index) => {
    const file = join(fresh, LABELS[labelOf(index)], `${String(index).padStart(4, '0')}.jpg`)
    writeFileSync(file, await pictureOf(name, index))
  })
  rmSync(folder, { recursive: true, force: true })
  renameSync(fresh, folder)
  writeFileSync(note, wanted)
  return true
}

/** A hash over the sources that decide what a picture looks like: pictures of older sources are made anew. */
function drawnBy() {
  const hash = createHash('sha256')
  for (const file of ['camera', 'glyphs', 'pictograms', 'random', 'scene', 'sets', 'signs']) {
    hash.update(readFileSync(new URL(`${file}.mjs`, import.meta.url)))
  }
  return hash.digest('hex').slice(0, 16)
}
