// Plans that TensorRT for RTX really builds, of this repository's models: no GPU is needed for that, nor had here.
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Built } from '../../src/cli/build-engine-text.js'
import { installedGpu } from '../../src/load/gpu-files.js'
import { load } from '../../src/load/load.js'
import { digitsData, type Ran, repositoryWith, subten, temporaryFolder, withTools } from '../quantize/tools.js'

const there = installedGpu('rtx') !== undefined && existsSync('build/Release/subten_tensorrt_rtx.so')
const FOR = ['--target', 'sm_80,sm_89']

const build = (...args: string[]): Promise<Ran> => subten('build-engine', ...args)

async function built(...args: string[]): Promise<Built> {
  const ran = await build(...args, '--json')
  expect(ran).toMatchObject({ code: 0, err: '' })
  return JSON.parse(ran.out)
}

const digestOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

describe.skipIf(!there)('subten build-engine with TensorRT for RTX (npm run tensorrt:install)', () => {
  const folder = temporaryFolder()
  let models: string
  beforeAll(() => {
    models = repositoryWith(folder, 'digits', 'digits_int8', 'mlp', 'vision')
  })

  it.each([
    ['digits', { image: [1, 8, 8] }, { probabilities: [10] }, 64],
    ['vision', { image: [3, 96, 96] }, { probabilities: [48] }, 32],
    ['mlp', { input: [64] }, { output: [8] }, undefined],
  ])('%s: a model with the plan, its tensors, its profile and its digest', async (name, inputs, outputs, most) => {
    const profile = most === undefined ? ['--profile', '1,4,16'] : []
    const made = await built(join(models, name), ...FOR, ...profile)
    const [min, opt, max] = most === undefined ? [1, 4, 16] : [1, most, most]
    const tensors = (each: object) =>
      Object.entries(each).map(([tensor, shape]) => ({ name: tensor, datatype: 'FP32', shape: [-1, ...shape] }))
    expect(made).toMatchObject({ inputs: tensors(inputs), outputs: tensors(outputs), quantize: 0, dequantize: 0 })
    const [[input, row]] = Object.entries(inputs) as [[string, number[]]]
    expect(made.profiles).toEqual([{ [input]: [min, opt, max].map((rows) => [rows, ...row]) }])
    expect(made.layers.FP32).toBeGreaterThan(3)
    expect(made.version).toMatch(/^RTX 1\.7\./)
    expect(made.model).toBe(join(models, `${name}_plan`))
    expect(made.plan).toBe(join(models, `${name}_plan/1/model.plan`))
    expect(made.sha256).toBe(digestOf(made.plan))
    const config = readFileSync(join(models, `${name}_plan/config.pbtxt`), 'utf8')
    expect(config).toContain(made.sha256)
    expect(config).toContain('backend: "tensorrt"')
    if (existsSync(join(models, name, 'labels.txt'))) {
      expect(readdirSync(join(models, `${name}_plan`))).toContain('labels.txt')
    }
  })

  it('a profile for each --profile, and max_batch_size no larger than the largest', async () => {
    const profiles = ['--profile', '1,1,1', '--profile', '2,8,8']
    const made = await built(join(models, 'digits'), ...FOR, ...profiles, '--name', 'digits_two')
    expect(made.profiles).toHaveLength(2)
    expect(readFileSync(join(models, 'digits_two/config.pbtxt'), 'utf8')).toContain('max_batch_size: 8')
  })

  it('a file alone, from a file, and says what it made', async () => {
    const onnx = join(folder, 'lone.onnx')
    cpSync(join(models, 'mlp/1/model.onnx'), onnx)
    const ran = await build(onnx, ...FOR, '--profile', '1,2,4', '--weight-streaming', '--no-tf32')
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(ran.out).toContain(`${join(folder, 'lone.plan')}: `)
    expect(ran.out).toContain(digestOf(join(folder, 'lone.plan')))
    expect(ran.out).toMatch(/layers as they were read: \d+ FP32; 0 Q, 0 DQ/)
    expect(ran.out).toContain('0: input [1, 64] [2, 64] [4, 64]')
  })

  it('is not run without a GPU, and says so', async () => {
    const { plan } = await built(join(models, 'mlp'), ...FOR, '--profile', '1,1,4', '--out', join(folder, 'a/mlp.plan'))
    await expect(load(plan)).rejects.toMatchObject({
      code: 'ENGINE_NOT_FOUND',
      message: expect.stringMatching(/^A TensorRT plan runs on an NVIDIA GPU\. This machine has no CUDA driver/),
    })
  })

  it.each<[string, string, string[], RegExp]>([
    ['no target', 'digits', [], /^CONFIG_INVALID: .*needs a target: sm_75/],
    ['a target that is none', 'digits', ['--target', 'sm_90'], /^NOT_SUPPORTED: .*not for 'sm_90'/],
    ['a level of hardware', 'digits', [...FOR, '--hardware', 'ampere+'], /^NOT_SUPPORTED: .*compute capabilities/],
    ['a timing cache', 'digits', [...FOR, '--timing-cache', 'a'], /^NOT_SUPPORTED: .*leave the timing cache out/],
    ['other versions', 'digits', [...FOR, '--version-compatible'], /^NOT_SUPPORTED: .*for each version/],
    [
      'weights to replace',
      'digits',
      [...FOR, '--refit'],
      /^ENGINE_NOT_FOUND: .*refittable plans on a machine with a GPU/,
    ],
    ['no profile', 'mlp/1/model.onnx', FOR, /^CONFIG_INVALID: .*at least one profile is needed/],
    ['INT8 of an FP32 model', 'digits', [...FOR, '--int8'], /^CONFIG_INVALID: .*quantize MODEL --target tensorrt/],
    ['FP16 of an FP32 model', 'digits', [...FOR, '--fp16'], /^CONFIG_INVALID: .*quantize MODEL --precision fp16/],
    ['INT8 for CPUs', 'digits_int8', FOR, /^MODEL_INVALID: .*wants symmetric INT8.*quantize MODEL --target tensorrt/],
    ['a library that is not there', 'digits', ['--library', '/nowhere'], /^ENGINE_VERSION: This process already uses/],
    ['both precisions', 'digits', [...FOR, '--int8', '--fp16'], /cannot both be/],
    ['a profile that falls', 'digits', [...FOR, '--profile', '4,2,8'], /three batch sizes that do not fall/],
  ])('refuses %s and leaves nothing behind', async (_, name, args, message) => {
    const before = readdirSync(models)
    const ran = await build(join(models, name), '--name', 'other', ...args)
    expect(ran.code).not.toBe(0)
    expect(ran.err).toMatch(message)
    expect(readdirSync(models)).toEqual(before)
  })

  it('refuses a file that is no model, in one line without what the missing driver adds', async () => {
    writeFileSync(join(folder, 'broken.onnx'), 'no model')
    const ran = await build(join(folder, 'broken.onnx'), ...FOR)
    expect(ran.err).toMatch(/^MODEL_INVALID: TensorRT cannot read the model: /)
    expect(ran.err).not.toContain('cudaError')
    expect(existsSync(join(folder, 'broken.plan'))).toBe(false)
  })

  it('does not overwrite without --force', async () => {
    await built(join(models, 'digits'), ...FOR, '--name', 'digits_again')
    const ran = await build(join(models, 'digits'), ...FOR, '--name', 'digits_again')
    expect(ran).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^CONFIG_INVALID: .*digits_again already\n.*--force/),
    })
    await built(join(models, 'digits'), ...FOR, '--name', 'digits_again', '--force')
  })

  withTools('of models that are quantised for it', () => {
    it('INT8 has the Q and DQ of the model', async () => {
      const data = await digitsData(folder)
      const args = ['--calibration', data, '--rows', '64', '--layers', '0', '--json']
      const quantised = await subten('quantize', join(models, 'digits'), '--target', 'tensorrt', ...args)
      expect(quantised).toMatchObject({ code: 0, err: '' })
      const made = await built(join(models, 'digits_int8_tensorrt'), ...FOR, '--int8')
      expect(made.quantize).toBeGreaterThanOrEqual(6)
      expect(made.dequantize).toBe(made.quantize)
      expect(made.warnings).toEqual([])
    })

    it('FP16 computes in FP16, with inputs and outputs in FP32', async () => {
      const quantised = await subten('quantize', join(models, 'digits'), '--precision', 'fp16', '--json')
      expect(quantised).toMatchObject({ code: 0 })
      const made = await built(join(models, 'digits_fp16'), ...FOR, '--fp16')
      expect(made.layers.FP16).toBeGreaterThan(10)
      expect(made.inputs[0]?.datatype).toBe('FP32')
    })
  })
})
