// Load, use, close, again and again: nothing may be left of a model that was closed, nor of one that could not load.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from '../../dist/index.js'
import { growth, processFacts } from './process-facts.mjs'

/**
 * How far the median of the last third of the samples may lie above that of the first. Mappings and memory come and go
 * with the heaps of both languages and with the stacks that libc keeps; one mapping left by each cycle would be 130.
 */
const BOUNDS = { threads: 0, handles: 0, mappings: 100, rssMib: 16 }
const SAMPLES = 20

async function collect() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Threads are detached and end a little after close() has resolved: look until they are gone, within reason. */
async function settled(before) {
  let facts
  for (let tries = 0; tries < 100; tries++) {
    await collect()
    facts = processFacts()
    if (before === undefined || (facts.threads <= before.threads && facts.handles <= before.handles)) break
  }
  return facts
}

export const KINDS = {
  async null() {
    const model = await load('models/echo', { instance_group: [{ count: 2 }] })
    await model.infer({ input: new Float32Array(64) })
    model.inferSync({ input: new Float32Array(64) })
    await model.close()
  },
  async 'null, asynchronous'() {
    const model = await load('models/echo', { parameters: { completion: 'async' } })
    await model.infer({ input: new Float32Array(64) })
    await model.close()
  },
  async onnxruntime() {
    const model = await load('models/mlp')
    await model.infer({ input: new Float32Array(64) })
    model.inferSync({ input: new Float32Array(64) })
    await model.close()
  },
  /** `bad`: a file that is no model. */
  async 'onnxruntime, refused'({ bad }) {
    const error = await load(bad).then(
      () => undefined,
      (reason) => reason,
    )
    if (error?.code !== 'MODEL_INVALID') throw new Error(`a bad model ended with ${error?.stack ?? error}`)
  },
}

export function writeBadModel(root) {
  const bad = join(root, 'bad.onnx')
  writeFileSync(bad, Buffer.alloc(4096, 7))
  return bad
}

/** Runs `rounds` of each kind; returns `{ kind, first, last, problems }` for each, facts at the first and last sample. */
export async function cycles(rounds, context) {
  const results = []
  for (const [kind, round] of Object.entries(KINDS)) {
    for (let i = 0; i < Math.min(20, rounds); i++) await round(context)
    const samples = [await settled()]
    for (let i = 1; i <= rounds; i++) {
      await round(context)
      if (i % Math.ceil(rounds / SAMPLES) === 0) samples.push(await settled(samples[0]))
    }
    const problems = Object.keys(BOUNDS).flatMap((fact) => {
      const values = samples.map((sample) => sample[fact])
      const grown = growth(values)
      return grown > BOUNDS[fact]
        ? [`${kind}: ${fact} grew by ${grown} in ${rounds} cycles: ${values.map(Math.round)}`]
        : []
    })
    results.push({ kind, first: samples[0], last: samples.at(-1), problems })
  }
  return results
}
