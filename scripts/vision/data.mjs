// npm run vision:data: the held-out and calibration pictures of models/vision in .cache/vision (half a minute).
//   -- --rows      also the rows of both for scripts/vision/variants.py
//   -- --train     also the training set, for scripts/vision/train.py: needs node_modules only, some minutes
//   -- --count N   so many training pictures
//   -- --examples  also examples/pictures
import { createWriteStream, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fromSources } from '../sources.mjs'
import { at, main, say } from '../step.mjs'
import { photograph } from './camera.mjs'
import { forEachIndex, pictureOf, SETS, writePictures } from './sets.mjs'
import { LABELS } from './signs.mjs'

const SIDE = 96

/** The pictures in examples/pictures: some easy, some not. */
const EXAMPLES = { stop: 6, 'speed-limit-50': 8, yield: 4, 'no-overtaking': 3, deer: 2, roundabout: 9 }

main(async () => {
  const { values } = parseArgs({
    options: {
      rows: { type: 'boolean' },
      train: { type: 'boolean' },
      count: { type: 'string' },
      examples: { type: 'boolean' },
    },
  })
  const folder = at('.cache', 'vision')
  mkdirSync(folder, { recursive: true })
  for (const name of ['heldout', 'calibration']) {
    const made = await writePictures(name, `${folder}/${name}`)
    say(`${SETS[name].count} pictures ${made ? 'made' : 'are'} in .cache/vision/${name}`)
  }
  if (values.examples) await writeExamples()
  for (const [name, { count }] of Object.entries(SETS)) {
    if (!(values.train || (values.rows && name !== 'train'))) continue
    await writeRows(folder, name, name === 'train' ? Number(values.count ?? count) : count)
  }
})

async function writeExamples() {
  mkdirSync(at('examples', 'pictures'), { recursive: true })
  for (const [label, number] of Object.entries(EXAMPLES)) {
    writeFileSync(
      at('examples', 'pictures', `${label}.jpg`),
      await photograph('examples', number, LABELS.indexOf(label), 1),
    )
  }
}

/**
 * `<name>.u8`: the pictures as the network gets them, uint8 [count, 3, 96, 96], made from JPEG bytes by the code that the
 * server runs; `<name>.json` says how many and which classes.
 */
async function writeRows(folder, name, count) {
  const pixelsOf = await serverPath()
  const file = createWriteStream(`${folder}/${name}.u8.part`)
  const waiting = new Map()
  let written = 0
  await forEachIndex(count, async (index) => {
    waiting.set(index, await pixelsOf(await pictureOf(name, index)))
    while (waiting.has(written)) {
      file.write(waiting.get(written))
      waiting.delete(written++)
      if (written % 4096 === 0) say(`${name}: ${written} of ${count}`)
    }
  })
  await new Promise((done, fail) => file.end((error) => (error ? fail(error) : done())))
  renameSync(`${folder}/${name}.u8.part`, `${folder}/${name}.u8`)
  writeFileSync(
    `${folder}/${name}.json`,
    JSON.stringify({ ...SETS[name], count, shape: [3, SIDE, SIDE], labels: LABELS }),
  )
  say(`${name}: ${count} rows in .cache/vision/${name}.u8`)
}

/** JPEG bytes → uint8 [3, 96, 96] by src/image, compiled for this run. */
async function serverPath() {
  const { preparePicture, imageSpecOf } = await fromSources('src/image/prepare.ts', 'src/image/image-spec.ts')
  // As the configs of models/vision say it, but for a tensor of bytes: scaling is left to train.py.
  const tensor = { name: 'image', datatype: 'UINT8', shape: [-1, 3, SIDE, SIDE] }
  const settings = { fit: 'cover', kernel: 'lanczos3' }
  const parameters = { 'subten.preprocess': { string_value: JSON.stringify(settings) } }
  const spec = imageSpecOf({ name: 'vision', inputs: [tensor], config: { parameters } })
  return async (bytes) => {
    const pixels = new Uint8Array(3 * SIDE * SIDE)
    const { input } = await preparePicture(bytes, spec, tensor)
    input.write(pixels)
    return pixels
  }
}
