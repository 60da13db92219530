// The same search for two other models, with what they can show: digits, small enough for overhead to matter, and ResNet-50,
// whose weights are random: its latency is right and its answers mean nothing.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromSources } from '../sources.mjs'
import { at, run, say } from '../step.mjs'

export async function optimiseOthers(quick) {
  await optimise(
    'digits',
    join('models', 'digits'),
    ['--slo', 'p99=5ms', '--data', await digitsData()],
    quick ? '1m' : '4m',
  )
  const resnet = join('.cache', 'models', 'resnet50')
  if (!existsSync(at(resnet))) {
    say('no .cache/models/resnet50: make it with scripts/models/make_resnet50.py for its report')
    return
  }
  const flags = ['--slo', 'p99=300ms', '--variants', `${resnet}_int8`, '--batch', '1,2,8']
  await optimise('resnet50', resnet, flags, quick ? '2m' : '6m')
}

async function optimise(name, model, flags, budget) {
  say(`${name}: what keeps its contract`)
  const out = at('docs', 'reports', name)
  const state = at('.cache', `optimize-${name}`)
  const args = ['optimize', model, ...flags, '--budget', budget, '--out', out, '--state', state, '--progress']
  // 1: no setting keeps the contract; the report says so.
  await run(process.execPath, [at('dist', 'cli.js'), ...args], { check: false })
}

/** The held-out digits as an .npz; relative to the root, where `run` runs: the report names it, and is committed. */
async function digitsData() {
  const { writeNpz } = await fromSources('src/data/npz.ts')
  const { images, labels } = JSON.parse(readFileSync(at('test', 'data', 'digits-heldout.json'), 'utf8'))
  const file = join('.cache', 'digits-heldout.npz')
  await writeNpz(at(file), {
    image: { datatype: 'FP32', shape: [images.length, 1, 8, 8], data: Float32Array.from(images.flat(), (v) => v / 16) },
    labels: { datatype: 'INT32', shape: [labels.length], data: Int32Array.from(labels) },
  })
  return file
}
