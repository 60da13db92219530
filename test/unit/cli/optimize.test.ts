import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeNpz } from '../../../src/data/npz.js'
import { subten, vectorModel } from './running-cli.js'

let folder: string
let data: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subten-accuracy-'))
  data = join(folder, 'heldout.npz')
  // The vector model gives what it gets: class 1 for every row, right in two of three.
  const x = {
    datatype: 'FP32',
    shape: [6, 3],
    data: Float32Array.from({ length: 18 }, (_, i) => (i % 3 === 1 ? 1 : 0)),
  } as const
  const labels = { datatype: 'INT32', shape: [6], data: Int32Array.from([1, 1, 0, 1, 1, 2]) } as const
  await writeNpz(data, { x, labels })
})
afterAll(() => rm(folder, { recursive: true }))

describe('subten accuracy', () => {
  it('prints how often the class is right, with an interval', async () => {
    const ran = await subten(['accuracy', 'models/vector', '--data', data])
    expect(ran.code).toBe(0)
    expect(ran.out).toMatch(/top-1\s+66\.67 %\s+\[30 % to 90\.32 %\]/)
    expect(ran.out).not.toContain('top-5')
  })

  it('compares with another model, as JSON', async () => {
    const ran = await subten(['accuracy', 'models/vector', '--data', data, '--against', 'other', '--json'], {
      models: { other: vectorModel },
    })
    expect(JSON.parse(ran.out)).toMatchObject({
      rows: 6,
      classes: 3,
      top1: { value: 4 / 6 },
      against: { agreement: { value: 1 }, difference: { value: 0 }, outputs: { maxAbs: 0, meanAbs: 0, cosine: 1 } },
      data: { path: data },
    })
  })

  it('says what is wrong with the data', async () => {
    const bad = join(folder, 'bad.npz')
    await writeFile(bad, 'no zip')
    const ran = await subten(['accuracy', 'models/vector', '--data', bad])
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('INVALID_INPUT')
  })
})

describe('subten optimize', () => {
  it.each([
    [['--slo', 'fast'], 'a percentile and a time'],
    [['--slo', 'p95=20ms'], 'Contracts are about p99'],
    [[], "required option '--slo"],
    [['--slo', 'p99=20ms', '--engine', 'tensorrt'], 'no engine'],
    [['--slo', 'p99=20ms', '--delay', '5'], 'a time with its unit'],
    [['--slo', 'p99=20ms', '--budget', 'long'], 'as 10m, 90s or 1h'],
    [['--slo', 'p99=20ms', '--accuracy-drop', '-1'], 'points from 0 to 100'],
    [['--slo', 'p99=20ms', '--resume', '--fresh'], 'one of --resume and --fresh'],
  ])('refuses %j', async (flags, says) => {
    const ran = await subten(['optimize', 'models/vector', ...flags])
    expect(ran.code).toBe(2)
    expect(ran.err).toContain(says)
  })

  it('does not show the command that its own processes run', async () => {
    const ran = await subten(['--help'])
    expect(ran.out).toContain('optimize')
    expect(ran.out).toContain('accuracy')
    expect(ran.out).not.toContain('measure-candidate')
  })
})
