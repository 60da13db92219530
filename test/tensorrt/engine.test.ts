// Plans behind `load` and `infer`, over a TensorRT and a driver of ours (native/test/tensorrt/fake_tensorrt.h): a plan is
// JSON, and every element j of a row is 2 * (sum of the row) + j.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { load } from '../../src/load/load.js'
import type { Tensor } from '../../src/runtime/tensor.js'
import type { Model } from '../../src/runtime/types.js'

const driver = resolve('build/tests/libsubten_fake_cuda.so')
const tensorrt = resolve('build/tests/libsubten_fake_tensorrt.so')
const there = existsSync(driver) && existsSync(tensorrt)
// Before the first load: the addon looks at them once. vitest gives each file a process.
process.env.SUBTEN_CUDA_DRIVER = driver
process.env.SUBTEN_TENSORRT_LIB = tensorrt
process.env.SUBTEN_TENSORRT_PLUGIN = tensorrt

const folder = mkdtempSync(join(tmpdir(), 'subten-test-tensorrt-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const PLAN = JSON.stringify({
  name: 'fake',
  layers: 2,
  hardware: 'none',
  refittable: true,
  factor: 2,
  profileMemory: [64, 4096],
  tensors: [
    { name: 'x', input: true, datatype: 'FP32', linear: true, shape: [-1, 3] },
    { name: 'y', input: false, datatype: 'FP32', linear: true, shape: [-1, 2] },
  ],
  profiles: [
    {
      x: [
        [1, 3],
        [1, 3],
        [1, 3],
      ],
    },
    {
      x: [
        [1, 3],
        [4, 3],
        [6, 3],
      ],
    },
  ],
})
const DIGEST = createHash('sha256').update(PLAN).digest('hex')

/** A model directory with the plan and a configuration, and what it is called. */
function modelWith(name: string, config?: string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '1'), { recursive: true })
  writeFileSync(join(path, '1', 'model.plan'), PLAN)
  if (config !== undefined) writeFileSync(join(path, 'config.pbtxt'), config)
  return path
}

async function answers(model: Model, rows: number): Promise<number[]> {
  const data = Float32Array.from({ length: rows * 3 }, (_, i) => i)
  const { y } = await model.infer({ x: { data, shape: [rows, 3] } })
  return [...((y as Tensor).data as Float32Array)]
}

const expected = (rows: number): number[] =>
  Array.from({ length: rows }, (_, row) => 2 * (9 * row + 3)).flatMap((sum) => [sum, sum + 1])

describe.skipIf(!there)('a plan of TensorRT (npm run test:native builds what it needs)', () => {
  it('loads from a directory without a configuration, with the largest batch of its profiles', async () => {
    await using model = await load(modelWith('plain'))
    expect(model.engine).toBe('tensorrt')
    expect(model.config).toMatchObject({ max_batch_size: 6, dynamic_batching: {} })
    expect(model.inputs).toMatchObject([{ name: 'x', datatype: 'FP32', shape: [-1, 3] }])
    expect(model.metadata).toMatchObject({
      TensorRT: '11.1.0',
      'cuda graphs': 'batches of 1, 2, 4, 6; 1 stream',
      plan: `${PLAN.length} bytes, sha256 ${DIGEST}`,
      'profile 1': 'x [1, 3], [4, 3], [6, 3]',
    })
    for (const rows of [1, 5, 6, 2]) expect(await answers(model, rows)).toEqual(expected(rows))
  })

  it('loads from a file alone, and batches requests that come together', async () => {
    const file = join(folder, 'alone.plan')
    writeFileSync(file, PLAN)
    await using model = await load(file)
    const one = (row: number) => model.infer({ x: { data: Float32Array.of(row, 0, 0), shape: [1, 3] } })
    const all = await Promise.all(Array.from({ length: 200 }, (_, row) => one(row)))
    all.forEach(({ y }, row) => {
      expect([...((y as Tensor).data as Float32Array)]).toEqual([2 * row, 2 * row + 1])
    })
    expect(model.stats().batches.count).toBeLessThan(200)
  })

  it('says how long copies and runs take on the device', async () => {
    await using model = await load(modelWith('times'))
    for (let i = 0; i < 20; i++) await answers(model, 2)
    const { deviceInput, deviceCompute, deviceOutput, compute } = model.stats().stages
    for (const stage of [deviceInput, deviceCompute, deviceOutput]) {
      expect(stage?.count).toBe(3)
      expect(stage?.max).toBeLessThanOrEqual(compute.max)
    }
  })

  it('has instances on the GPUs that instance_group names, and the profiles that it names', async () => {
    const config = 'backend: "tensorrt" max_batch_size: 6 instance_group { count: 3 kind: KIND_GPU profile: "1" }'
    await using model = await load(modelWith('groups', config))
    expect(model.metadata['cuda graphs']).toBe('batches of 1, 2, 4, 6; 3 streams')
    expect(await answers(model, 1)).toEqual(expected(1))
  })

  it.each([
    ['kind', 'instance_group { kind: KIND_CPU }', 'CONFIG_INVALID', 'runs on GPUs, not in a group of KIND_CPU'],
    ['gpu', 'instance_group { gpus: 5 }', 'CONFIG_INVALID', 'A TensorRT plan runs on an NVIDIA GPU.'],
    ['profile', 'instance_group { profile: "2" }', 'CONFIG_INVALID', 'the plan has 2, numbered from 0'],
    ['low', 'max_batch_size: 6 instance_group { profile: "0" }', 'CONFIG_INVALID', 'built for batches of 1 to 1'],
    ['large', 'max_batch_size: 7', 'CONFIG_INVALID', 'built for batches of 1 to 1, 1 to 6'],
    ['none', 'max_batch_size: 0', 'CONFIG_INVALID', 'has a batch dimension'],
    [
      'uneven',
      'instance_group { count: 1 gpus: 0 } instance_group { count: 2 gpus: 1 }',
      'NOT_SUPPORTED',
      'different counts on the GPUs',
    ],
    [
      'pinned',
      `parameters { key: "subten.plan_sha256" value { string_value: "\\"${'0'.repeat(64)}\\"" } }`,
      'MODEL_INVALID',
      'A plan is code',
    ],
    [
      'pin',
      'parameters { key: "subten.plan_sha256" value { string_value: "\\"abc\\"" } }',
      'CONFIG_INVALID',
      '64 small hexadecimal digits',
    ],
    [
      'outside',
      'parameters { key: "refit_from" value { string_value: "../../weights.onnx" } }',
      'CONFIG_INVALID',
      'leads out of the folder of the plan',
    ],
    [
      'absent',
      'parameters { key: "refit_from" value { string_value: "weights.onnx" } }',
      'CONFIG_INVALID',
      'there is no "weights.onnx" beside the plan',
    ],
    ['graphs', 'parameters { key: "graphs" value { string_value: "2" } }', 'CONFIG_INVALID', 'must be 0 or 1'],
  ])('refuses a configuration that does not fit: %s', async (name, config, code, words) => {
    const loading = load(modelWith(name, `backend: "tensorrt" ${config}`))
    await expect(loading).rejects.toMatchObject({ code, message: expect.stringContaining(words) })
  })

  it('loads a plan whose digest is pinned, and takes weights from a file beside it', async () => {
    const path = modelWith(
      'right',
      `backend: "tensorrt" parameters { key: "subten.plan_sha256" value { string_value: "\\"${DIGEST}\\"" } }
       parameters { key: "refit_from" value { string_value: "weights.onnx" } }`,
    )
    writeFileSync(join(path, '1', 'weights.onnx'), 'weights')
    await using model = await load(path)
    expect(await answers(model, 3)).toEqual(expected(3))
  })

  it('does not run a plan from outside of the model directory', async () => {
    const path = modelWith('link')
    rmSync(join(path, '1', 'model.plan'))
    writeFileSync(join(folder, 'elsewhere.plan'), PLAN)
    symlinkSync(join(folder, 'elsewhere.plan'), join(path, '1', 'model.plan'))
    await expect(load(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  it('refuses what is for another engine, and what is no plan', async () => {
    const options = { executionProviders: ['cuda' as const] }
    await expect(load(modelWith('providers'), options)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const path = modelWith('broken')
    writeFileSync(join(path, '1', 'model.plan'), 'no plan')
    await expect(load(path)).rejects.toMatchObject({ code: 'MODEL_INVALID' })
  })

  it('ends every request that a closed model still has', async () => {
    const model = await load(modelWith('closed'))
    const runs = Array.from({ length: 50 }, () => answers(model, 2).catch((error: { code: string }) => error.code))
    await model.close()
    for (const each of await Promise.all(runs)) {
      if (typeof each !== 'string') expect(each).toEqual(expected(2))
      else expect(each).toBe('MODEL_CLOSED')
    }
  })
})
